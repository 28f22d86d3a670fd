// Package psremoting runs commands of a remote PowerShell endpoint, such as the
// one of Exchange Server at http://server/PowerShell/: the PowerShell Remoting
// Protocol (MS-PSRP) over WS-Management (MS-WSMV), and the sealing of messages
// by Kerberos where the endpoint is plain http.
//
// Only commands are sent, one to a pipeline, with parameters that are data.
// Exchange's endpoint is in no-language mode and refuses anything else; and what
// cannot be written cannot be injected.
//
// Sources: MS-PSRP (learn.microsoft.com/openspecs/windows_protocols/ms-psrp),
// sections 2.2 and 3.1; MS-WSMV, sections 2.2.4, 2.2.9.1 and 3.1.4.
package psremoting
