// Package graph hides msgraph-sdk-go: it is the only package that imports the
// SDK, and gives back plain structs and one error type. Nothing is registered
// globally, and every request goes through the shared transport, which does the
// repeating; the SDK's own middleware for that is left out.
//
// What is also hidden here, and nowhere else: that the directory is eventually
// consistent (Fresh), takes one write at a time, and can answer several requests
// in one round trip (Survey, Assign).
package graph
