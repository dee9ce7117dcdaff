// Package task runs the parts of the daemon as one group: each part is a Task, the
// first that fails stops all, and nothing returns before every part has.
//
// Flow: Run starts each task in a goroutine of its own; a watcher waits until every
// task is ready and says so once; the end of ctx, or the first error, cancels the
// context that all tasks share; Run returns when the last task has returned.
package task
