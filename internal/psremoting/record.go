package psremoting

import (
	"strings"

	"github.com/c2conn/c2conn/internal/transport"
)

const textLimit = 4000 // bytes of a text of the server that gets into an error

// commandError decodes an error record. Source: MS-PSRP 2.2.3.15.
func commandError(command string, record Object) *CommandError {
	text := func(name string) string {
		v, _ := record.Get(name)
		return transport.CleanText(v.Text, textLimit)
	}
	e := &CommandError{Command: command, FullyQualifiedErrorID: text("FullyQualifiedErrorId"), Reason: text("ErrorCategory_Reason")}
	// A message that the cmdlet wrote for people stands before that of the exception.
	e.Message = text("ErrorDetails_Message")
	if x, ok := record.Get("Exception"); ok {
		if len(x.Types) > 0 {
			e.ExceptionType = transport.CleanText(strings.TrimPrefix(x.Types[0], "Deserialized."), 300)
		}
		if m, ok := x.Get("Message"); ok && e.Message == "" {
			e.Message = transport.CleanText(m.Text, textLimit)
		}
	}
	if e.Message == "" {
		e.Message = transport.CleanText(record.Text, textLimit)
	}
	if v, ok := record.Get("ErrorCategory_Category"); ok {
		if n, ok := v.Int(); ok {
			e.Category = category(n)
		}
	}
	return e
}

// classify gives a record the type by which callers tell it from others.
func (e *CommandError) classify() error {
	id, _, _ := strings.Cut(e.FullyQualifiedErrorID, ",")
	switch {
	case id == "CommandNotFoundException", strings.HasSuffix(e.ExceptionType, ".CommandNotFoundException"):
		return &NoCommandError{e}
	case id == "ScriptsNotAllowed", strings.Contains(e.Message, "syntax is not supported by this runspace"):
		return &LanguageError{e}
	}
	return e
}

// category names a value of the enumeration ErrorCategory. Source: MS-PSRP 2.2.3.9.
func category(n int64) string {
	names := [...]string{
		"NotSpecified", "OpenError", "CloseError", "DeviceError", "DeadlockDetected", "InvalidArgument", "InvalidData",
		"InvalidOperation", "InvalidResult", "InvalidType", "MetadataError", "NotImplemented", "NotInstalled", "ObjectNotFound",
		"OperationStopped", "OperationTimeout", "SyntaxError", "ParserError", "PermissionDenied", "ResourceBusy", "ResourceExists",
		"ResourceUnavailable", "ReadError", "WriteError", "FromStdErr", "SecurityError", "ProtocolError", "ConnectionError",
		"AuthenticationError", "LimitsExceeded", "QuotaExceeded", "NotEnabled",
	}
	if n < 0 || n >= int64(len(names)) {
		return ""
	}
	return names[n]
}

// refuseHostCall is the error of a call of the server to our console, which is not
// there. Calls that want no answer, such as lines to be written, are none.
//
// Source: MS-PSRP 2.2.3.17, methods by their numbers.
func refuseHostCall(command string, data []byte) error {
	o, err := parseCLIXML(data)
	if err != nil {
		return err
	}
	mi, _ := o.Get("mi")
	n, ok := mi.Int()
	switch {
	case !ok:
		return errMessage
	case n >= 6 && n <= 10, n >= 13 && n <= 22: // exit and notifications; Write…
		return nil
	case n >= 28 && n <= 42 && n%2 == 0, n >= 47 && n <= 49, n == 51: // Set…, FlushInputBuffer, ScrollBufferContents
		return nil
	}
	method := transport.CleanText(mi.Text, 100)
	if method == "" {
		method = "an unnamed method"
	}
	return &HostCallError{command, method}
}
