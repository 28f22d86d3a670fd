package psrp

import (
	"cmp"
	"fmt"
	"strings"
)

// Namespaces of WS-Management ([MS-WSMV] 2.2.1).
const (
	nsSOAP       = "http://www.w3.org/2003/05/soap-envelope"
	nsAddressing = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
	nsTransfer   = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
	nsWSMan      = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
	nsWSManMS    = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"
	nsShell      = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
	nsFault      = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
	nsIdentity   = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"
	nsPowerShell = "http://schemas.microsoft.com/powershell"

	anonymous   = nsAddressing + "/role/anonymous"
	faultAction = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"
	detailURI   = "http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/"
)

// wsmanFault is a SOAP fault of WS-Management. Source of the codes and texts:
// wsmerror.h of the Windows SDK, and faults that WinRM was seen to send.
type wsmanFault struct {
	receiver bool   // else the sender is to blame
	subcode  string // with its prefix
	reason   string
	detail   string // name of a WS-Management fault detail, "" = none
	code     uint32 // of WSManFault
	message  string // of WSManFault; "" = reason
}

func (f *wsmanFault) body(machine string) string {
	side := "s:Sender"
	if f.receiver {
		side = "s:Receiver"
	}
	detail := ""
	if f.detail != "" {
		detail = "<w:FaultDetail>" + detailURI + f.detail + "</w:FaultDetail>"
	}
	return fmt.Sprintf(`<s:Fault><s:Code><s:Value>%s</s:Value><s:Subcode><s:Value>%s</s:Value></s:Subcode></s:Code>`+
		`<s:Reason><s:Text xml:lang="en-US">%s</s:Text></s:Reason><s:Detail>%s`+
		`<f:WSManFault xmlns:f="%s" Code="%d" Machine="%s"><f:Message>%s</f:Message></f:WSManFault></s:Detail></s:Fault>`,
		side, f.subcode, xmlText(f.reason), detail, nsFault, f.code, xmlText(machine), xmlText(cmp.Or(f.message, f.reason)))
}

func xmlText(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "\r", "&#xD;", "\n", "&#xA;").Replace(s)
}

// timedOut ends a long poll that brought nothing: ask again.
func timedOut() *wsmanFault {
	const text = "The WS-Management service cannot complete the operation within the time specified in OperationTimeout.  "
	return &wsmanFault{receiver: true, subcode: "w:TimedOut", reason: text, code: 2150858793}
}

func unexpectedSelectors(message string) *wsmanFault {
	return &wsmanFault{
		subcode: "w:InvalidSelectors", detail: "UnexpectedSelectors", code: 2150858843, message: message,
		reason: "The WS-Management service cannot process the request because the request contained invalid selectors for the resource. ",
	}
}

func shellNotFound(id string) *wsmanFault {
	return unexpectedSelectors("The request for the Windows Remote Shell with ShellId " + id + " failed because the shell was not found on the server. " +
		"Possible causes are: the specified ShellId is incorrect or the shell no longer exists on the server. Provide the correct ShellId or create a new shell and retry the operation. ")
}

func commandNotFound() *wsmanFault {
	return unexpectedSelectors("The Windows Remote Shell received a request to perform an operation on a command identifier that does not exist. " +
		"Either the command has completed execution or the client specified an invalid command identifier. ")
}

func insufficientSelectors() *wsmanFault {
	return &wsmanFault{
		subcode: "w:InvalidSelectors", detail: "InsufficientSelectors", code: 2150858842,
		reason:  "The WS-Management service cannot process the request because the request contained invalid selectors for the resource. ",
		message: "The WS-Management service cannot process the request. The request does not have all the selectors that the resource needs. ",
	}
}

func headerMissing(name string) *wsmanFault {
	return &wsmanFault{
		subcode: "a:MessageInformationHeaderRequired", code: 2150858769,
		reason:  "A required header was missing. ",
		message: "The WS-Management service cannot process the request. The request does not have all the expected SOAP headers. (" + name + ") ",
	}
}

func headerInvalid(name string) *wsmanFault {
	return &wsmanFault{
		subcode: "a:InvalidMessageInformationHeader", code: 2150858767,
		reason:  "A header is not valid and the message cannot be processed. ",
		message: "The WS-Management service cannot process the request. The request contains one or more invalid SOAP headers. (" + name + ") ",
	}
}

func notUnderstood() *wsmanFault {
	return &wsmanFault{
		subcode: "s:MustUnderstand", code: 2150858768,
		reason: "The WS-Management service cannot process a SOAP header in the request that is marked as mustUnderstand by the client. " +
			"This could be caused by the use of a version of the protocol which is not supported, or may be an incompatibility between the client and server implementations. ",
	}
}

func actionNotSupported(action string) *wsmanFault {
	return &wsmanFault{
		subcode: "a:ActionNotSupported", code: 2150858771,
		reason:  "The action is not supported by the service. ",
		message: "The WS-Management service does not support the action specified in the request: " + action + " ",
	}
}

func schemaError(element string) *wsmanFault {
	return &wsmanFault{
		subcode: "w:SchemaValidationError", code: 2150858817,
		reason:  "The SOAP XML in the message does not match the corresponding XML schema definition. Change the XML and retry. ",
		message: "The Windows Remote Shell cannot process the request. The SOAP packet contains an element " + element + " that is invalid. Retry the request with the correct XML element. ",
	}
}

// invalidOptions refuses an OptionSet.
func invalidOptions(text string) *wsmanFault {
	return &wsmanFault{
		subcode: "w:InvalidOptions", detail: "NotSupported", code: 2150858809,
		reason: "The WS-Management service cannot process the request because it contains invalid options. ", message: text,
	}
}

// resourceUnknown refuses a session configuration that IIS does not host here.
func resourceUnknown(uri string) *wsmanFault {
	return &wsmanFault{
		subcode: "w:DestinationUnreachable", detail: "InvalidResourceURI", code: 2150858752,
		reason:  "The WS-Management service cannot process the request. The service cannot find the resource identified by the resource URI and selectors. ",
		message: "The WS-Management service cannot process the request. The resource URI (" + uri + ") was not found in the WS-Management catalog. The catalog contains the metadata that describes resources, or logical endpoints. ",
	}
}

func envelopeTooLarge() *wsmanFault {
	return &wsmanFault{
		subcode: "w:EncodingLimit", detail: "ServiceEnvelopeLimit", code: 2150858790,
		reason: "The WS-Management service cannot process the request because the request is larger than the maximum envelope size of the service. ",
	}
}

func envelopeTooSmall() *wsmanFault {
	return &wsmanFault{
		subcode: "w:EncodingLimit", detail: "MinimumEnvelopeLimit", code: 2150858878,
		reason: "The WS-Management service cannot process the request. The maximum envelope size in the request is too small; it must be at least 8192. ",
	}
}

// quotaFull is what a user gets whose shells were not deleted. The text was
// seen from Exchange; PowerShellMaxConcurrency is 18 in its default policy.
func quotaFull(limit int) *wsmanFault {
	return &wsmanFault{
		subcode: "w:QuotaLimit", code: 2150859173,
		reason: fmt.Sprintf("The WS-Management service cannot process the request. This user is allowed a maximum number of %d concurrent shells, which has been exceeded. Close existing shells or raise the quota for this user. ", limit),
	}
}

func accessDenied(message string) *wsmanFault {
	return &wsmanFault{subcode: "w:AccessDenied", code: 5, reason: "Access is denied. ", message: message}
}

func alreadyExists() *wsmanFault {
	return &wsmanFault{
		subcode: "w:AlreadyExists", code: 2150858803,
		reason: "The WS-Management service cannot process the request because a resource with that identifier exists already. ",
	}
}

func concurrency() *wsmanFault {
	return &wsmanFault{
		subcode: "w:Concurrency", code: 2150858802,
		reason: "The WS-Management service cannot process the request because another operation on the same stream is under way. ",
	}
}

// aborted ends an operation whose shell or command went away.
func aborted() *wsmanFault {
	return &wsmanFault{
		receiver: true, subcode: "w:InternalError", code: 995,
		reason: "The I/O operation has been aborted because of either a thread exit or an application request. ",
	}
}

// protocolError is what the PowerShell plug-in reports of a message that breaks
// the rules of PSRP.
func protocolError(err error) *wsmanFault {
	return &wsmanFault{
		receiver: true, subcode: "w:InternalError", code: 2150858755,
		reason:  "The WS-Management service cannot process the request because the plug-in reported an error. ",
		message: "The Windows PowerShell plug-in cannot process the data that the client sent: " + err.Error() + ". ",
	}
}
