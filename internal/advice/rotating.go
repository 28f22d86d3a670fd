package advice

import (
	"errors"
	"strings"
	"time"
)

// ProofReason says why an application cannot renew its own certificate.
type ProofReason string

// The reasons of an OwnProofError.
const (
	ProofBySecret   ProofReason = "secret"  // it signs in with a client secret
	ProofIDsUnknown ProofReason = "ids"     // the object id or the key id is not known here
	ProofRefused    ProofReason = "refused" // Microsoft Graph does not take the proof
	ProofNoSignIn   ProofReason = "sign-in" // it cannot sign in with what it has
)

// OwnProofError is an application that cannot renew its own credential: an
// administrator has to sign in. Nothing was changed.
type OwnProofError struct {
	Connection string
	Reason     ProofReason
	Err        error
}

func (e *OwnProofError) Error() string {
	text := "the application cannot renew its own credential"
	switch e.Reason {
	case ProofBySecret:
		text += ": only a certificate can prove that it may"
	case ProofIDsUnknown:
		text += ": its object id or the key id of its certificate is not known here"
	case ProofRefused:
		text += ": the tenant refuses it"
	case ProofNoSignIn:
		text += ": it cannot sign in with the one that it has"
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the refusal.
func (e *OwnProofError) Unwrap() error { return e.Err }

// RotationPendingError is a rotation that comes too early: another one of the same
// connection is not ended.
type RotationPendingError struct {
	Connection string
	Due        time.Time // when the old credential of the last rotation is to be removed
	Other      string    // thumbprint of the certificate that an unfinished rotation brings; Due is zero then
}

func (e *RotationPendingError) Error() string {
	if e.Other != "" {
		return "an unfinished rotation of " + or(e.Connection, "") + " brings the certificate " + or(e.Other, "") + ", not the one that was given"
	}
	return "the old credential of " + or(e.Connection, "") + " is still in the application, until " + e.Due.UTC().Format("2006-01-02 15:04") + " UTC"
}

// RotationLeftError is a rotation whose connections are switched and work, and whose
// old credential could not be removed.
type RotationLeftError struct {
	Connection string
	Err        error
}

func (e *RotationLeftError) Error() string {
	return "the connection uses the new credential, but the old one could not be removed: " + e.Err.Error()
}

// Unwrap returns why.
func (e *RotationLeftError) Unwrap() error { return e.Err }

// RotationInUseError is an old credential that saved connections use again.
type RotationInUseError struct {
	Connection string
	Using      []string
}

func (e *RotationInUseError) Error() string {
	return "the old credential stays, because " + or(strings.Join(e.Using, ", "), "a connection") + " signs in with it"
}

// RotationEditedError is a connection that got another credential while its own was
// rotated.
type RotationEditedError struct{ Connection string }

func (e *RotationEditedError) Error() string {
	return or(e.Connection, "the connection") + " got another credential in the meantime; nothing was switched"
}

// RotationSwitchedError is a rotation that cannot be taken back any more: connections
// have the new credential.
type RotationSwitchedError struct {
	Connection string
	Finishable bool // all have it
}

func (e *RotationSwitchedError) Error() string {
	return "the rotation of " + or(e.Connection, "") + " cannot be taken back: a saved connection uses the new credential already"
}

// RotationBusyError is an application whose credentials another c2conn is changing at
// this moment.
type RotationBusyError struct{ ClientID string }

func (e *RotationBusyError) Error() string {
	return "another c2conn is changing the credentials of the application " + or(e.ClientID, "") + " at this moment"
}

const rotateLink = "https://learn.microsoft.com/graph/api/application-addkey"

// fromRotation finds the advice for an error that ends a rotation.
func fromRotation(err error, f Facts) (judgement, bool) {
	var (
		proof    *OwnProofError
		pending  *RotationPendingError
		left     *RotationLeftError
		inUse    *RotationInUseError
		edited   *RotationEditedError
		switched *RotationSwitchedError
		busy     *RotationBusyError
	)
	rotate := func(name, flags string) string {
		return strings.TrimSpace("$ c2conn rotate " + shellWord(name) + flags)
	}
	told := func(cause error, r row) (judgement, bool) {
		j := idsOf(cause)
		j.row = r
		return j, true
	}
	switch {
	case errors.As(err, &left):
		next := []string{"Remove it when the cause is gone:", rotate(left.Connection, " --finish --now")}
		if errors.As(err, &proof) {
			next = []string{"Sign in as an administrator for that:", rotate(left.Connection, " --finish --now --login browser")}
		}
		if errors.As(err, &inUse) {
			next = inUseSteps(inUse)
		}
		return told(left.Err, row{
			what: "The connection uses the new credential and works. The old one could not be removed.", short: "the old credential is not removed",
			why: judge(left.Err, f).what, next: next, class: ClassOf(left.Err),
		})
	case errors.As(err, &proof):
		return told(proof.Err, proofRow(proof, rotate))
	case errors.As(err, &pending) && pending.Other != "":
		return told(nil, row{
			what: sentence(pending), why: "It broke off before the connection was switched.",
			next:  []string{"Go on with it:", rotate(pending.Connection, ""), "Or take it back:", rotate(pending.Connection, " --abandon")},
			class: ClassOther,
		})
	case errors.As(err, &pending):
		return told(nil, row{
			what: sentence(pending), short: "the last rotation is not ended",
			why:  "Programs elsewhere may still use it until then. Another rotation would pile up credentials in the application.",
			next: []string{"Remove it now, if nothing uses it any more; then rotate again:", rotate(pending.Connection, " --finish --now")},

			class: ClassOther,
		})
	case errors.As(err, &busy):
		return told(nil, row{
			what: sentence(busy), short: "another c2conn is changing the credentials", why: "One at a time, so that none takes away what another has just added.",
			next: []string{"Wait until it has ended. Then run the same command again."}, class: ClassOther,
		})
	case errors.As(err, &inUse):
		return told(nil, row{
			what: sentence(inUse), short: "a connection still uses the old credential",
			why: "Without it that connection could not sign in any more.", next: inUseSteps(inUse), class: ClassOther,
		})
	case errors.As(err, &edited):
		return told(nil, row{
			what: sentence(edited), short: "the connection was edited meanwhile", why: "Somebody edited it while the new credential was added.",
			next: []string{"Take the new credential out of the application again:", rotate(edited.Connection, " --abandon")}, class: ClassOther,
		})
	case errors.As(err, &switched):
		next := []string{"Go on with it:", rotate(switched.Connection, "")}
		if switched.Finishable {
			next = []string{"Remove the old one instead:", rotate(switched.Connection, " --finish --now")}
		}
		return told(nil, row{what: sentence(switched), why: "Taking it back would leave that connection without a credential that works.", next: next, class: ClassOther})
	}
	return judgement{}, false
}

func inUseSteps(e *RotationInUseError) []string {
	next := []string{"Give it the new credential, or delete it:"}
	for _, name := range e.Using {
		next = append(next, "$ c2conn edit "+shellWord(name))
	}
	return append(next, "Then:", "$ c2conn rotate "+shellWord(e.Connection)+" --finish")
}

func proofRow(e *OwnProofError, rotate func(name, flags string) string) row {
	r := row{
		what: "The application cannot renew its own credential; an administrator has to sign in.", short: "an administrator has to sign in",
		next: []string{
			"Sign in as Application Administrator, Cloud Application Administrator, Global Administrator or an owner of the application:",
			rotate(e.Connection, " --login browser"),
			"In a script: --login device-code, --login app with --login-client-id, or --access-token-file.",
		},
		link: rotateLink, class: ClassUsage,
	}
	switch e.Reason {
	case ProofBySecret:
		r.why = "It signs in with a client secret. Only a certificate can prove that the application may change its own keys."
	case ProofIDsUnknown:
		r.why = "It may not read its own registration, and c2conn does not know the object id of the application or the key id of the certificate. After one rotation by an administrator it knows both."
	case ProofRefused:
		r.why = "Microsoft Graph does not let it, or does not take the proof that it has the key of the old certificate."
	case ProofNoSignIn:
		r.why = "It cannot sign in with the credential that it has: it has expired, or was removed or replaced."
	}
	return r
}
