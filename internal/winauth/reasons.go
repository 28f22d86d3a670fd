package winauth

import (
	"errors"
	"strconv"
	"strings"
)

// LDAPRefusal turns the text of a refused LDAP bind (result 49, invalidCredentials)
// into a *WrongPasswordError, a *LockedError or an *UnknownUserError. Active
// Directory writes the Windows error code into it, "… data 52e, v4563"; a text
// without one means a wrong password.
// Source: learn.microsoft.com/windows/win32/debug/system-error-codes--1300-1699-.
func LDAPRefusal(account, server, diagnostic string) error {
	said := errors.New(clean(diagnostic))
	_, code, _ := strings.Cut(diagnostic, "data ")
	end := strings.IndexFunc(code, func(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF", r) })
	if end >= 0 {
		code = code[:end]
	}
	n, _ := strconv.ParseUint(code, 16, 32)
	if n == 0x525 {
		return &UnknownUserError{Account: account, Domain: server}
	}
	if r, ok := win32Reasons[uint32(n)]; ok {
		return &LockedError{Account: account, Reason: r, Server: server, Err: said}
	}
	return &WrongPasswordError{Account: account, Protocol: "LDAP", Server: server, Err: said}
}

var win32Reasons = map[uint32]Reason{
	0x530: ReasonHours,
	0x531: ReasonWorkstation,
	0x532: ReasonPassword,
	0x533: ReasonDisabled,
	0x701: ReasonExpired,
	0x773: ReasonMustChange,
	0x775: ReasonLocked,
}

// ntReasons are NTSTATUS values (MS-ERREF, section 2.3.1) that a KDC of Active
// Directory adds to an error (MS-KILE, section 2.2.1).
var ntReasons = map[uint32]Reason{
	0xC000006F: ReasonHours,
	0xC0000070: ReasonWorkstation,
	0xC0000071: ReasonPassword,
	0xC0000072: ReasonDisabled,
	0xC0000193: ReasonExpired,
	0xC0000224: ReasonMustChange,
	0xC0000234: ReasonLocked,
}
