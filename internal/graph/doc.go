// Package graph hides msgraph-sdk-go: it is the only package that imports the
// SDK, and gives back plain structs and one error type. Nothing is registered
// globally, and every request goes through the shared transport, which does the
// repeating; the SDK's own middleware for that is left out.
package graph
