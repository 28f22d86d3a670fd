// Package transport hides how c2conn talks HTTPS: proxies, trusted
// authorities, time and size limits, request ids, repeating what may be
// repeated, and turning every failure of the network into one typed error.
//
// MSAL, Microsoft Graph and Exchange Web Services share one client made here,
// so that each host is reached over one TLS connection.
package transport
