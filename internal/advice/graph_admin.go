package advice

import (
	"net/http"
	"strings"

	"github.com/c2conn/c2conn/internal/graph"
)

// change is what a call to Graph does to the directory; each needs another role.
type change int

const (
	changesNothing change = iota
	looks                 // at applications, as no application of a connection does
	registers             // an application or its service principal
	alters                // an application that is there: its keys, secrets, permissions
	consents
	deletes
)

// changeOf reads it from the operation that the error names.
func changeOf(op string) change {
	op = strings.ToLower(op)
	verb, _, _ := strings.Cut(op, " ")
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(op, w) {
				return true
			}
		}
		return false
	}
	switch {
	case verb == "read" || verb == "list":
		if has("application", "principal", "granted", "signed-in") {
			return looks
		}
		return changesNothing
	case verb == "grant" || verb == "take":
		return consents
	case verb == "delete" || verb == "purge":
		return deletes
	case !has("application", "principal", "secret"):
		return changesNothing
	case verb == "create":
		return registers
	}
	return alters
}

// adminRow is what a refusal of Graph means while an administrator registers.
func adminRow(e *graph.Error, f Facts) (row, bool) {
	what := changeOf(e.Op)
	if f.Login == "" && what == changesNothing {
		return row{}, false // the application's own call
	}
	switch {
	case graph.Replicating(e):
		return row{
			what:  "What was made a moment ago is not known everywhere in the tenant yet.",
			short: "not known everywhere in the tenant yet",
			why:   "Entra ID copies each change to many servers. This one had not heard of it, even after c2conn had waited. If it is older than that, somebody deleted it.",
			next:  waitMore(f),
			link:  replicationLink, class: ClassCheck,
		}, true
	case strings.EqualFold(e.Code, "PermissionScopeNotGranted"):
		return scopeRow(f), true
	case strings.EqualFold(e.Code, "Authorization_RequestDenied"):
		return deniedRow(what, f), true
	case strings.EqualFold(e.Code, "Authorization_IdentityNotFound"):
		return row{
			what:  "Microsoft Graph does not know {admin} in the tenant {tenant}.",
			short: "the account is not known in the tenant",
			why:   "The sign-in led to another tenant than the one whose directory was asked, or the account was deleted or made a moment ago.",
			next:  []string{"Sign in with an administrator of the tenant itself, and name it: --tenant-id {tenantarg}", "{again}"},
			link:  "https://learn.microsoft.com/graph/resolve-auth-errors", class: ClassCheck,
		}, true
	case e.Status == http.StatusUnauthorized:
		return row{
			what:  "Microsoft Graph did not accept the administrator's sign-in any more.",
			short: "the administrator's sign-in is not accepted",
			why:   "It expired or was withdrawn, or it belongs to another cloud.",
			next:  []string{"Sign in again. A token that was given has to be a fresh one for Microsoft Graph.", "Check the cloud: now it is “{cloud}”.", "{again}"},
			link:  "https://learn.microsoft.com/graph/resolve-auth-errors", class: ClassAuth,
		}, true
	case e.Status == http.StatusNotFound:
		return row{
			what:  "The tenant {tenant} does not have what was asked for.",
			short: "not in the tenant",
			why:   "It was deleted, or it belongs to another tenant.",
			next:  []string{"Look what is there:", "$ c2conn app list", "{again}"},
			link:  "https://learn.microsoft.com/graph/errors", class: ClassCheck,
		}, true
	}
	return row{}, false
}

// deniedRow names the role that a step needs.
func deniedRow(what change, f Facts) row {
	r := row{link: rolesLink, class: ClassPolicy}
	switch {
	case what == consents && f.Login == loginApp:
		r.what = "The application that signed in may not grant permissions to others."
		r.short = "the application may not grant permissions"
		r.why = "That takes the permissions AppRoleAssignment.ReadWrite.All and Application.Read.All of Microsoft Graph."
		r.next = []string{"Give it both as application permissions, with admin consent. Whoever holds its credential can then grant anything: keep it as safe as an administrator's."}
		r.class = ClassConsent
	case what == consents:
		r.what = "{admin} may not consent to the application's permissions."
		r.short = "the account may not consent"
		r.why = "Permissions of Microsoft Graph take the role " + consentRoles + "; for those of Exchange Online and SharePoint, Application Administrator and Cloud Application Administrator do as well."
		r.next = []string{"{grant}", pimStep}
		r.class = ClassConsent
	case what == registers:
		return forbiddenRow("", nil, f)
	case what == alters || what == deletes:
		verb := "change"
		if what == deletes {
			verb = "delete"
		}
		r.what = "{admin} may not " + verb + " this application."
		r.short = "the account may not " + verb + " the application"
		r.why = "Only its owners may, and administrators with the role " + registerRoles + "."
		r.next = []string{"Sign in as one of them.", pimStep}
		if f.Login == loginApp {
			r.why = "It may " + verb + " applications that it made itself (Application.ReadWrite.OwnedBy), or any with Application.ReadWrite.All."
			r.next = []string{"Give it Application.ReadWrite.All as an application permission, with admin consent.", "Or sign in as a person: --login browser"}
		}
	default:
		r.class = ClassCheck
		r.what = "{admin} may not read the tenant's directory."
		r.short = "the account may not read the directory"
		r.why = "The tenant lets only administrators do that, or the sign-in came without the permission."
		r.next = []string{"Sign in as " + registerRoles + ".", pimStep}
		if f.Login == loginApp {
			r.why = "That takes the permissions Application.ReadWrite.OwnedBy and Organization.Read.All of Microsoft Graph."
			r.next = []string{"Give it both as application permissions, with admin consent."}
		}
	}
	r.next = append(r.next, "{again}")
	return r
}

// scopeRow is for a token that was made without a permission, whatever role its
// owner has.
func scopeRow(f Facts) row {
	r := row{
		what:  "The sign-in does not carry the permission for this step.",
		short: "the sign-in does not carry the permission",
		why:   "The application that one signs in with decides what the sign-in may be used for; no role of the account adds to that.",
		next:  []string{useAzureCLI, useToken, tokenPipe, "{again}"},
		link:  "https://learn.microsoft.com/graph/resolve-auth-errors", class: ClassCheck,
	}
	if f.Login == loginApp {
		r.why = "The token of the application that signed in was made before the permission was granted, or it never was."
		r.next = []string{"Give it Application.ReadWrite.OwnedBy and AppRoleAssignment.ReadWrite.All as application permissions, with admin consent.", consentSpreads, "{again}"}
	}
	return r
}
