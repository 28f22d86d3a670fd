// Package connections keeps the saved profiles ("connections") with which a
// backup or migration tool reaches a Microsoft 365 tenant or an on-premises
// server, and the secrets that belong to them.
//
// It hides the files: where a connection lies, how it is replaced without ever
// being lost, how hand edits are noticed, how several processes take turns, and
// how secrets are encrypted at rest. Other Go programs may import it; it prints
// nothing, starts nothing and creates nothing before the first write.
//
// The YAML of a connection is published as docs/connection.schema.json.
package connections
