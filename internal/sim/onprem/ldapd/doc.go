// Package ldapd is a simulated domain controller's LDAP service: what a client
// sees of Active Directory over LDAPS, over StartTLS and without TLS.
//
// It is written from RFC 4511 (protocol), RFC 4513 and RFC 4752 (binds), RFC 2696
// (paged results), RFC 4532 ("Who am I?") and MS-ADTS (what Active Directory adds
// and refuses). It is read only: every change is refused, and comparing, too.
//
// What a real one has and this one has not: SASL security layers (so SASL needs
// TLS), the mechanisms GSS-SPNEGO, EXTERNAL and DIGEST-MD5, ambiguous name
// resolution, values in ranges, sorting, the global catalog, and access control by
// entry: whoever is signed in reads everything.
package ldapd
