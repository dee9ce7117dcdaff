package lab

// StartTime is for tests that play a maker of namespaces.
var StartTime = startTime
