package ldapd

import (
	"errors"

	"github.com/c2conn/c2conn/internal/sim/onprem/account"
)

// Accounts is an Options.SignIn that asks the domain's account database.
func Accounts(d *account.Directory) func(name, password string) (string, Status) {
	return func(name, password string) (string, Status) {
		u, err := d.SignInPassword(account.LDAP, name, password)
		var refused *account.RefusedError
		switch {
		case err == nil:
			return d.NetBIOS() + `\` + u.SAM, StatusOK
		case errors.As(err, &refused):
			return "", statusOf(refused.Reason)
		}
		return "", StatusWrongPassword
	}
}

func statusOf(r account.Reason) Status {
	switch r {
	case account.UnknownUser:
		return StatusNoSuchUser
	case account.LockedOut:
		return StatusLockedOut
	case account.AccountDisabled:
		return StatusDisabled
	case account.Expired:
		return StatusPasswordExpired
	case account.PasswordMustChange:
		return StatusMustChange
	}
	return StatusWrongPassword
}
