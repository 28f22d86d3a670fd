package entra

import (
	"errors"
	"slices"
)

// The refusals of a new application for its first minutes.
const (
	CodeApplicationUnknown = 700016
	CodePrincipalUnknown   = 7000229
	CodeSecretUnknown      = 7000215
	CodeKeyUnknown         = 700027
	CodeNoConsent          = 65001
)

// Lagging reports whether err is what Entra ID answers while it does not know a
// new application, its credential or its consent everywhere yet. A lasting fault
// looks the same: ask only for what is fresh, and for a limited time.
//
// Sources: learn.microsoft.com/entra/identity-platform/reference-error-codes;
// "Designing for eventual consistency for Microsoft Entra", devblogs.microsoft.com/identity, 2026-03-24.
func Lagging(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && slices.Contains([]int{CodeApplicationUnknown, CodePrincipalUnknown, CodeSecretUnknown, CodeKeyUnknown, CodeNoConsent}, e.Code())
}
