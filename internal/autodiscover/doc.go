// Package autodiscover finds the EWS URL of a mailbox on an Exchange Server of one's
// own: from Active Directory, from the names that the mail domain should have, from a
// redirect and from DNS.
//
// It asks without signing in wherever that is enough. A sign-in goes over https only,
// to the address's own domains only unless somebody agrees, to one server at a time,
// and the first definite wrong password ends the search.
//
// Sources: learn.microsoft.com/exchange/client-developer/exchange-web-services, pages
// autodiscover-for-exchange, how-to-generate-a-list-of-autodiscover-endpoints,
// how-to-get-user-settings-from-exchange-by-using-autodiscover and
// handling-autodiscover-error-messages.
package autodiscover
