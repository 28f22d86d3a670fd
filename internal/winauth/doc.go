// Package winauth signs in to Windows servers: with Kerberos (Negotiate), with
// NTLMv2 and its channel binding, or, only over TLS that is trusted and where the
// server offers it, with Basic. It decides which certificate of a server is
// trusted, and it stops at the first password that is definitely wrong: no
// attempt of ours locks an account.
//
// An Account is who signs in. Its HTTP client serves Exchange and SharePoint, its
// Kerberos contexts serve LDAP and sealed PowerShell, and Try guards the sign-ins
// that other packages do themselves.
package winauth
