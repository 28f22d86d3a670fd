package exchangeserver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/c2conn/c2conn/internal/psremoting"
)

// impersonationRole is the management role that lets an account act for mailboxes.
//
// Source: learn.microsoft.com/exchange/applicationimpersonation-role-exchange-2013-help.
const impersonationRole = "ApplicationImpersonation"

// Assignment is an assignment of the role ApplicationImpersonation.
type Assignment struct {
	Name     string
	Assignee string // user or group that has it
	Enabled  bool
	Scope    string // whom it reaches: "Organization", or the name of a custom scope
	Limited  bool   // it does not reach the whole organisation
}

// Rights are an account's rights to impersonate, by itself and by its groups.
type Rights struct {
	Assignments []Assignment // those that let it impersonate
	Delegating  []Assignment // those that let it grant the right, and no more
}

// Impersonation reads what the account may. It is asked by UPN.
//
// Source: learn.microsoft.com/powershell/module/exchange/get-managementroleassignment:
// RoleAssignee also lists what comes by groups.
func (s *Server) Impersonation(ctx context.Context, upn string) (Rights, error) {
	var r Rights
	for _, delegating := range []bool{false, true} {
		out, err := s.session.Run(ctx, psremoting.Command{Name: "Get-ManagementRoleAssignment", Params: []psremoting.Param{
			psremoting.String("Role", impersonationRole), psremoting.String("RoleAssignee", upn), psremoting.Bool("Delegating", delegating),
		}})
		if err != nil {
			return Rights{}, err
		}
		if len(out.Errors) > 0 && len(out.Objects) == 0 {
			return Rights{}, out.Errors[0]
		}
		for _, o := range out.Objects {
			a := assignment(o)
			if delegating {
				r.Delegating = append(r.Delegating, a)
			} else {
				r.Assignments = append(r.Assignments, a)
			}
		}
	}
	return r, nil
}

func assignment(o psremoting.Object) Assignment {
	a := Assignment{Name: text(o, "Name"), Assignee: text(o, "RoleAssigneeName"), Enabled: true}
	if p, ok := o.Get("Enabled"); ok {
		if enabled, is := p.Bool(); is {
			a.Enabled = enabled
		}
	}
	a.Scope = text(o, "RecipientWriteScope")
	if custom := text(o, "CustomRecipientWriteScope"); custom != "" {
		a.Scope, a.Limited = custom, true
	} else if a.Scope != "" && !strings.EqualFold(a.Scope, "Organization") {
		a.Limited = true
	}
	return a
}

// GrantPrefix begins the names of the assignments that c2conn makes, so that they can
// be found and removed.
const GrantPrefix = "c2conn impersonation "

// GrantName is the name of the assignment that c2conn makes for an account. It has the
// whole UPN, because two accounts may have the same name in two domains; of a long one
// the beginning, and a sum that tells it from others.
func GrantName(upn string) string {
	name := []rune(GrantPrefix + upn)
	if len(name) <= nameLimit {
		return string(name)
	}
	sum := sha256.Sum256([]byte(strings.ToLower(upn)))
	return string(name[:nameLimit-9]) + "-" + hex.EncodeToString(sum[:4])
}

// GrantImpersonation assigns the role ApplicationImpersonation to the account, over the
// whole organisation, and returns the assignment's name; with an error, too, where it may
// have been made all the same. Exchange takes minutes to
// heed it on all servers.
//
// Source: learn.microsoft.com/exchange/client-developer/exchange-web-services/how-to-configure-impersonation.
func (s *Server) GrantImpersonation(ctx context.Context, upn string) (string, error) {
	name := GrantName(upn)
	out, err := s.session.Run(ctx, psremoting.Command{Name: "New-ManagementRoleAssignment", Params: []psremoting.Param{
		psremoting.String("Name", name), psremoting.String("Role", impersonationRole), psremoting.String("User", upn),
	}})
	var refused *psremoting.CommandError
	switch {
	case errors.As(err, &refused):
		return "", err
	case err != nil:
		return name, err
	case len(out.Errors) > 0:
		return "", out.Errors[0]
	case len(out.Objects) == 0:
		return name, errors.New("New-ManagementRoleAssignment gave no answer")
	}
	if made := text(out.Objects[0], "Name"); made != "" {
		name = made
	}
	return name, nil
}

// nameLimit is the length of an assignment's name: 64 characters.
const nameLimit = 64
