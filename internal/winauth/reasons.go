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
	const unknown = 0x525
	n, _ := strconv.ParseUint(code, 16, 32)
	if n == unknown {
		return &UnknownUserError{Account: account, Domain: server}
	}
	if r := win32Reason(n); r != "" {
		return &LockedError{Account: account, Reason: r, Server: server, Err: said}
	}
	return &WrongPasswordError{Account: account, Protocol: "LDAP", Server: server, Err: said}
}

func win32Reason(code uint64) Reason {
	switch code {
	case 0x530:
		return ReasonHours
	case 0x531:
		return ReasonWorkstation
	case 0x532:
		return ReasonPassword
	case 0x533:
		return ReasonDisabled
	case 0x701:
		return ReasonExpired
	case 0x773:
		return ReasonMustChange
	case 0x775:
		return ReasonLocked
	}
	return ""
}

// ntReason knows the NTSTATUS values (MS-ERREF, section 2.3.1) that a KDC of Active
// Directory adds to an error.
func ntReason(status uint32) Reason {
	switch status {
	case 0xC000006F:
		return ReasonHours
	case 0xC0000070:
		return ReasonWorkstation
	case 0xC0000071:
		return ReasonPassword
	case 0xC0000072:
		return ReasonDisabled
	case 0xC0000193:
		return ReasonExpired
	case 0xC0000224:
		return ReasonMustChange
	case 0xC0000234:
		return ReasonLocked
	}
	return ""
}
