package psremoting

import (
	"errors"
	"fmt"
	"strings"
)

// Codes of WSManFault, from wsmerror.h of the Windows SDK.
const (
	codeAccessDenied = 5          // ERROR_ACCESS_DENIED
	codeTimedOut     = 2150858793 // ERROR_WSMAN_OPERATION_TIMEDOUT: nothing to tell yet, ask again
	codeDenied       = 2150858819 // what Exchange sends with "Access is denied"
	codeNoShell      = 2150858843 // the shell was not found on the server
	codeRedirect     = 2150859161 // ERROR_WSMAN_REDIRECT_REQUESTED
)

// quotaCodes are those of ERROR_WSMAN_QUOTA_…: shells, operations, users,
// commands of a shell, and what a plug-in (Exchange) may have of each.
func quota(code uint32) bool {
	return code == 2150858815 || code >= 2150859173 && code <= 2150859176 || code == 2150859179 || code >= 2150859236 && code <= 2150859241
}

// Error is a request that the endpoint refused, or to which no usable answer came.
type Error struct {
	Op        string // "sign-in", Create, Command, Send, Receive, Signal or Delete
	Status    int    // HTTP status, 0 when no answer came
	Code      uint32 // WSManFault, e.g. 2150859173; 0 when there was none
	Message   string // of the fault, safe to show
	Category  string // FailureCategory that Exchange writes before its messages, e.g. "AuthZ-CmdletAccessDeniedException"
	WWWAuth   string // header WWW-Authenticate of a 401
	RequestID string // MessageID of the request, also sent as client-request-id
	Err       error  // what kept the answer from us, or what is wrong with it
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "remote PowerShell: %s", e.Op)
	switch {
	case e.Message != "" && e.Code != 0:
		fmt.Fprintf(&b, ": the server answered %d, fault %d: %s", e.Status, e.Code, e.Message)
	case e.Message != "":
		fmt.Fprintf(&b, ": the server answered %d: %s", e.Status, e.Message)
	case e.Err != nil && e.Status != 0:
		fmt.Fprintf(&b, ": the server answered %d: %v", e.Status, e.Err)
	case e.Err != nil:
		fmt.Fprintf(&b, ": %v", e.Err)
	default:
		fmt.Fprintf(&b, ": the server answered %d", e.Status)
	}
	return b.String()
}

// QuotaError says that the account has as many shells or operations open as it
// may, or the server as many as it can.
type QuotaError struct{ Err *Error }

// Unwrap returns the refusal.
func (e *QuotaError) Unwrap() error { return e.Err }

func (e *QuotaError) Error() string { return e.Err.Error() }

// DeniedError says that the account is signed in, but may not use the endpoint.
//
// That Exchange names its reason by FailureCategory is seen in published reports;
// that it does so for an account without remote PowerShell is inferred from the
// name of its exception, and unsure.
type DeniedError struct {
	Disabled bool // RemotePowerShellEnabled is false for the account
	NoRole   bool // the account has no management role
	Err      *Error
}

// Unwrap returns the refusal.
func (e *DeniedError) Unwrap() error { return e.Err }

func (e *DeniedError) Error() string { return e.Err.Error() }

// RedirectError says that another server is to be asked; it was not followed.
type RedirectError struct {
	URL string // where to, as the server wrote it, safe to show; empty when it did not say
	Err *Error
}

// Unwrap returns the answer.
func (e *RedirectError) Unwrap() error { return e.Err }

func (e *RedirectError) Error() string {
	return fmt.Sprintf("remote PowerShell: the server wants another one to be asked: %s", e.URL)
}

// CommandError is one record of an error of a command.
//
// Source: MS-PSRP 2.2.3.15.
type CommandError struct {
	Command               string
	Message               string // safe to show
	FullyQualifiedErrorID string // e.g. "CommandNotFoundException"
	Category              string // e.g. "ObjectNotFound"
	Reason                string // ErrorCategory_Reason, e.g. "ManagementObjectNotFoundException"
	ExceptionType         string // .NET name of the exception's type
}

func (e *CommandError) Error() string { return e.Command + ": " + e.Message }

// NoCommandError says that the endpoint does not know the command: none of the
// account's management roles has it.
type NoCommandError struct{ Err *CommandError }

// Unwrap returns the record.
func (e *NoCommandError) Unwrap() error { return e.Err }

func (e *NoCommandError) Error() string { return e.Err.Error() }

// LanguageError says that the endpoint, being in no-language mode, took what was
// sent for a script. Commands sent by Run do not cause it at Exchange.
type LanguageError struct{ Err *CommandError }

// Unwrap returns the record.
func (e *LanguageError) Unwrap() error { return e.Err }

func (e *LanguageError) Error() string { return e.Err.Error() }

// HostCallError says that the command asked for something at a console, e.g. a
// confirmation, which nobody is there to give. The command was stopped.
type HostCallError struct {
	Command string
	Method  string // e.g. "PromptForChoice"
}

func (e *HostCallError) Error() string {
	return fmt.Sprintf("%s: the command asks for something at a console (%s), which cannot be answered here", e.Command, e.Method)
}

// StoppedError says that the server stopped the command, or the session, without
// saying why.
type StoppedError struct {
	Command string // empty: the session
	State   string // e.g. "Stopped", "Broken"
}

func (e *StoppedError) Error() string {
	if e.Command == "" {
		return "remote PowerShell: the session is " + e.State
	}
	return e.Command + ": the server ended the command (" + e.State + ")"
}

// Reasons for which an answer is not taken.
var (
	// ErrUnsealed is an answer over plain http that is not sealed: it may come from
	// anybody.
	ErrUnsealed = errors.New("the answer is not sealed")
	// ErrPlainHTTP is a request that would have gone over plain http unsealed. It
	// was not sent.
	ErrPlainHTTP = errors.New("remote PowerShell over http needs sealed messages")
	// ErrGivenUp is the error of a session in which a command broke off. Close it
	// and open another.
	ErrGivenUp = errors.New("remote PowerShell: the session was given up after a failure")
	// ErrClosed is the error of a session that was closed.
	ErrClosed = errors.New("remote PowerShell: the session is closed")
)

// unsent is the error of a request that did not go out, because nobody could be signed in.
type unsent struct{ err error }

func (e *unsent) Error() string { return e.err.Error() }

func (e *unsent) Unwrap() error { return e.err }

var (
	errAddress   = errors.New("remote PowerShell needs an address such as https://server/PowerShell/, and somebody to sign in there")
	errNotSOAP   = errors.New("the answer is no SOAP envelope")
	errDoctype   = errors.New("the answer holds a document type definition, which is forbidden")
	errTooBig    = errors.New("the answer is larger than any real one")
	errTooDeep   = errors.New("the answer has more elements or levels than any real one")
	errFragment  = errors.New("the answer holds a broken fragment")
	errMessage   = errors.New("the answer holds a broken message")
	errCLIXML    = errors.New("the answer holds an object that cannot be read")
	errMultipart = errors.New("the answer is not sealed as it should be")
	errOtherOne  = errors.New("the answer belongs to another request")
	errNoState   = errors.New("the command ended without saying how")
)
