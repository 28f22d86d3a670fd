// Package ews hides the SOAP of Exchange Web Services: the envelope, the
// impersonation of a mailbox, and the four places in which an Exchange server
// says no (HTTP headers, SOAP faults, response messages, nothing at all).
package ews
