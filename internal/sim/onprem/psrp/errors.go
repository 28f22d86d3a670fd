package psrp

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"strings"

	"github.com/c2conn/c2conn/internal/sim/onprem/org"
)

// Category is an ErrorCategory of PowerShell ([MS-PSRP] 2.2.3.9).
type Category int32

// The categories that occur here.
const (
	NotSpecified     Category = 0
	InvalidArgument  Category = 5
	InvalidOperation Category = 7
	ObjectNotFound   Category = 13
	OperationStopped Category = 14
	ParserError      Category = 17
)

// String is the name of the category.
func (c Category) String() string {
	switch c {
	case InvalidArgument:
		return "InvalidArgument"
	case InvalidOperation:
		return "InvalidOperation"
	case ObjectNotFound:
		return "ObjectNotFound"
	case OperationStopped:
		return "OperationStopped"
	case ParserError:
		return "ParserError"
	}
	return "NotSpecified"
}

// Error is an error of a command: an error record of PowerShell.
type Error struct {
	Message     string
	Exception   string // name of its type without namespace
	Namespace   string // of the type; "" = System.Management.Automation
	Bases       []string
	Category    Category
	Target      string // the object that it is about, "" = none
	ID          string // FullyQualifiedErrorId; "" = Exception
	Terminating bool   // ends the pipeline in the state Failed

	command string // which cmdlet
}

// Error is the message.
func (e *Error) Error() string { return e.Message }

// in says in which cmdlet the error happened.
func (e *Error) in(call *Invocation) *Error {
	c := *e
	c.command = call.cmdlet.Name
	return &c
}

// object is the ErrorRecord in CLIXML ([MS-PSRP] 2.2.3.15), as Windows sends it.
func (e *Error) object() *Object {
	namespace := cmp.Or(e.Namespace, "System.Management.Automation")
	exception := namespace + "." + e.Exception
	types := append([]string{exception}, e.Bases...)
	var target any
	targetName, targetType := "", ""
	if e.Target != "" {
		target, targetName, targetType = e.Target, e.Target, "String"
	}
	reason := fmt.Sprintf("%s: (%s:%s) [%s], %s", e.Category, shorten(targetName), targetType, e.command, e.Exception)
	var invocation any
	if e.command != "" {
		invocation = &Object{
			Types: []string{"System.Management.Automation.InvocationInfo", "System.Object"}, Text: "System.Management.Automation.InvocationInfo",
			Props: []Property{
				{"MyCommand", e.command}, {"ScriptLineNumber", 0}, {"OffsetInLine", 0}, {"HistoryId", int64(1)}, {"ScriptName", ""}, {"Line", ""},
				{"PositionMessage", ""}, {"InvocationName", e.command}, {"PipelineLength", 0}, {"PipelinePosition", 0}, {"ExpectingInput", false},
				{"CommandOrigin", "Internal"},
			},
		}
	}
	return &Object{
		Types: []string{"System.Management.Automation.ErrorRecord", "System.Object"}, Text: e.Message,
		Extended: []Property{
			{"writeErrorStream", true},
			{"Exception", &Object{
				Types: append(types, "System.Exception", "System.Object"), Text: exception + ": " + e.Message,
				Props: []Property{
					{"Message", e.Message}, {"Data", &Object{Types: []string{"System.Collections.ListDictionaryInternal", "System.Object"}, Base: Dict{}}},
					{"InnerException", nil}, {"TargetSite", nil}, {"StackTrace", nil}, {"HelpLink", nil}, {"Source", nil}, {"HResult", int32(-2146233087)},
				},
			}},
			{"TargetObject", target}, {"FullyQualifiedErrorId", cmp.Or(e.ID, e.Exception)}, {"InvocationInfo", invocation},
			{"ErrorCategory_Category", int32(e.Category)}, {"ErrorCategory_Activity", e.command}, {"ErrorCategory_Reason", e.Exception},
			{"ErrorCategory_TargetName", targetName}, {"ErrorCategory_TargetType", targetType}, {"ErrorCategory_Message", reason},
			{"SerializeExtendedInfo", false}, {"PipelineIterationInfo", iterationInfo()}, {"PSMessageDetails", nil},
		},
	}
}

// shorten cuts a target's name as PowerShell does in the text of a category.
func shorten(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:17]) + "..." + string(r[len(r)-17:])
	}
	return s
}

func iterationInfo() *Object {
	return &Object{Types: []string{
		"System.Collections.ObjectModel.ReadOnlyCollection`1[[System.Int32, mscorlib, Version=4.0.0.0, Culture=neutral, PublicKeyToken=b77a5c561934e089]]", "System.Object",
	}, Base: List{0, 1}}
}

// runtimeBases are the types that most exceptions of PowerShell derive from.
func runtimeBases() []string {
	return []string{"System.Management.Automation.RuntimeException", "System.SystemException"}
}

// noLanguage refuses what is more than one command with values. Text and ids as
// Windows PowerShell 5.1 was seen to send them from a session configuration in
// no-language mode, which Exchange's is since the updates of April 2021.
func noLanguage(what string) *Error {
	return &Error{
		Message:   "The syntax is not supported by this runspace. This can occur if the runspace is in no-language mode.",
		Exception: "ParseException", Bases: runtimeBases(), Category: ParserError, Target: what, ID: "ScriptsNotAllowed", Terminating: true,
	}
}

func stoppedRecord() *Error {
	return &Error{
		Message: "The pipeline has been stopped.", Exception: "PipelineStoppedException", Bases: runtimeBases(),
		Category: OperationStopped, ID: "PipelineStopped", Terminating: true,
	}
}

// commandUnknown is what a user gets whose roles do not give the cmdlet: his
// session does not have it.
func commandUnknown(name string) *Error {
	return &Error{
		Message: "The term '" + name + "' is not recognized as the name of a cmdlet, function, script file, or operable program. " +
			"Check the spelling of the name, or if a path was included, verify that the path is correct and try again.",
		Exception: "CommandNotFoundException", Bases: runtimeBases(), Category: ObjectNotFound, Target: name, ID: "CommandNotFoundException", Terminating: true,
	}
}

// bindingError is an error of parameter binding. Its id is followed by the
// cmdlet's class.
func bindingError(c *Cmdlet, id, message string) *Error {
	return &Error{
		Message: message, Exception: "ParameterBindingException", Bases: runtimeBases(), Category: InvalidArgument,
		ID: id + "," + c.class(), Terminating: true, command: c.Name,
	}
}

// class is the name of the class that carries out a cmdlet, as it stands in
// error ids.
func (c *Cmdlet) class() string {
	return cmp.Or(c.Namespace, "Microsoft.Exchange.Management") + "." + strings.ReplaceAll(c.Name, "-", "")
}

// ExchangeError makes an error as Exchange's cmdlets report it: one that does
// not end the pipeline, with a long id (server, request, time, failure category).
func (call *Invocation) ExchangeError(exception, message string) *Error {
	s := call.server
	h := fnv.New32a()
	_, _ = h.Write([]byte(exception + message)) // never fails
	namespace := "Microsoft.Exchange.Configuration.Tasks"
	if strings.HasPrefix(exception, "AD") {
		namespace = "Microsoft.Exchange.Data.Directory"
	}
	return &Error{
		Message: message, Exception: exception, Namespace: namespace, Bases: []string{"Microsoft.Exchange.Data.Common.LocalizedException"}, Category: NotSpecified,
		ID: fmt.Sprintf("[Server=%s,RequestId=%s,TimeStamp=%s] [FailureCategory=Cmdlet-%s] %08X,%s", s.machine(), s.newID(),
			s.o.Now().UTC().Format("1/2/2006 3:04:05 PM"), exception, h.Sum32(), call.cmdlet.class()),
	}
}

// notFound is the error about an object that does not exist.
func (call *Invocation) notFound(identity string) *Error {
	return call.ExchangeError("ManagementObjectNotFoundException", "The operation couldn't be performed because object '"+identity+
		"' couldn't be found on '"+call.Organisation().DomainController()+"'.")
}

// Organisation is the organisation that the cmdlet works on.
func (call *Invocation) Organisation() *org.Organisation { return call.server.o.Organisation }
