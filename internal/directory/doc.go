// Package directory reads Active Directory: who may administer Exchange, which
// domains there are, where Autodiscover is. It changes nothing.
//
// It speaks LDAP over TLS only: LDAPS first, then StartTLS. It signs in with the
// password (a simple bind) or, without one, with a Kerberos ticket (SASL GSSAPI
// with channel binding). Referrals are not followed: every domain is opened by
// itself.
package directory
