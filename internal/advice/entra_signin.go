package advice

import "github.com/c2conn/c2conn/internal/entra"

// Steps of a person's sign-in.
const (
	useGraphCLI = "Or sign in with “Microsoft Graph Command Line Tools” instead: --bootstrap-client-id " + graphCLI
	useAzureCLI = "Or leave out --bootstrap-client-id: c2conn then signs in with “Microsoft Azure CLI”, which needs no consent and leaves nothing in the tenant."
	//nolint:gosec // words about a token, not one
	useToken   = "Or pipe in a token of Azure CLI, which can use this computer's own work account (az login):"
	tokenPipe  = "$ az account get-access-token --resource-type ms-graph --query accessToken --output tsv | {command} --access-token-stdin"
	signInLogs = "Entra admin centre › Monitoring › Sign-in logs: open the entry with this correlation id and read which policy it was."
)

// signInRow is what a refusal means while a person signs in, where that differs
// from what it means for an application, or depends on the way of signing in.
func signInRow(code int, f Facts) (row, bool) {
	custom := f.Bootstrap != "" && f.bootstrap()[0] == 't' // neither of the two that are Microsoft's
	switch code {
	case 53003:
		return blockedSignIn(f), true
	case 53000, 53001, 530033, 50097:
		return unmanagedDevice(f), true
	case 50105, 7000112, 70001:
		r := row{
			what:  "The tenant {tenant} does not let you sign in with {bootstrap}.",
			short: "the tenant blocks the application used for signing in",
			why:   "Its administrators switched this application off, or it is open only to accounts that are assigned to it.",
			next:  []string{"Ask an administrator to allow it or to assign your account: Enterprise applications › the application › Users and groups."},
			class: ClassAuth,
		}
		switch f.Bootstrap {
		case graphCLI:
			r.next = append(r.next, useAzureCLI)
		default:
			r.next = append(r.next, useGraphCLI, "It asks for a consent once, which stays in the tenant.")
		}
		r.next = append(r.next, byHand, guide)
		if code == 50105 {
			r.class = ClassPolicy
		}
		return r, true
	case 700016:
		r := row{
			what:  "The tenant {tenant} does not have {bootstrap}, with which you sign in.",
			short: "the tenant lacks the application used for signing in",
			why:   "The client ID is misspelt, or the application is registered in another tenant.",
			next:  []string{"Check the client ID at --bootstrap-client-id; it is the Application (client) ID of the Overview page, not the Object ID.", useAzureCLI, "{again}"},
			class: ClassAuth,
		}
		if !custom {
			r.why = "It is Microsoft's own and part of nearly every tenant; some national clouds do without it."
			r.next = []string{"Check the cloud: now it is “{cloud}”.", useGraphCLI, "{again}"}
		}
		return r, true
	case 7000218:
		return row{
			what:  "The application used for signing in is not set up for people: {bootstrap}.",
			short: "the application used for signing in is no public client",
			why:   "It wants a secret or certificate of its own. An application that people sign in with must be a public client.",
			next:  []string{"In its registration: Authentication › Advanced settings › Allow public client flows: Yes.", useAzureCLI, "{again}"},
			class: ClassAuth,
		}, true
	case 65001, 650056, 650057:
		return row{
			what:  "Nobody has consented to {bootstrap} acting in your name.",
			short: "the application used for signing in lacks a consent",
			why:   "To register, it needs the delegated permissions Application.ReadWrite.All, AppRoleAssignment.ReadWrite.All and Directory.Read.All of Microsoft Graph.",
			next:  []string{"Add them to its registration and press Grant admin consent there.", useAzureCLI, "{again}"},
			class: ClassConsent,
		}, true
	case 65002:
		return row{
			what:  "Entra ID does not let {bootstrap} ask for Microsoft Graph.",
			short: "the application used for signing in may not use Graph",
			why:   "It belongs to Microsoft, and Microsoft has not allowed it these permissions beforehand. No consent changes that.",
			next:  []string{useAzureCLI, useGraphCLI, "{again}"}, class: ClassAuth,
		}, true
	case 65004:
		return row{
			what: "The consent was declined.",
			why:  "Somebody pressed Cancel on the page that lists what {bootstrap} wants to do in your name.",
			next: []string{"Sign in again, read the list and press Accept.", useAzureCLI, "{again}"}, class: ClassConsent,
		}, true
	case 90094, 90095:
		return row{
			what:  "An administrator has to allow {bootstrap} first.",
			short: "the application used for signing in lacks a consent",
			why:   "It asks for permissions to which your account may not consent.",
			next:  []string{"Sign in as " + consentRoles + ".", useAzureCLI, "{again}"}, class: ClassConsent,
		}, true
	case 50194, 9002332:
		return row{
			what:  "The sign-in named no tenant, and {bootstrap} belongs to one alone.",
			short: "the application belongs to one tenant; name it",
			why:   "An application of a single tenant cannot be used without saying which.",
			next:  []string{"Name the tenant: --tenant-id {tenantarg}", "{again}"}, class: ClassAuth,
		}, true
	case 90019, 50059, 50128:
		return row{
			what: "Entra ID could not tell which tenant is meant.",
			why:  "The sign-in names no tenant, or a domain that no tenant has verified.",
			next: []string{"Name the tenant: --tenant-id contoso.onmicrosoft.com (or its GUID)", "{again}"}, class: ClassAuth,
		}, true
	}
	return row{}, false
}

// blockedSignIn is for a Conditional Access policy that stopped a person. Many
// tenants forbid the device code as such: a policy managed by Microsoft does it.
//
// Source: learn.microsoft.com/entra/identity/conditional-access/managed-policies.
func blockedSignIn(f Facts) row {
	r := row{
		what:  "A Conditional Access policy of the tenant blocks the sign-in with {bootstrap}.",
		short: "blocked by a Conditional Access policy",
		why:   "Which one, Entra ID does not say. Policies can ask for certain places, devices or applications.",
		class: ClassPolicy,
	}
	switch f.Login {
	case loginDevice:
		r.why = "Many tenants forbid signing in with a code altogether (the policy “Block device code flow”). Others ask for certain places or devices."
		r.next = []string{"Sign in with a browser on this computer instead: --login browser", "Without one here: run c2conn on a computer that has one, preferably one that the tenant manages."}
	case loginBrowser:
		r.next = []string{
			"Sign in on a computer and in a network that the tenant trusts, with a browser that is connected to the work account (Edge).",
			"Or with a code, which you then enter on such a computer, unless the tenant forbids that: --login device-code",
		}
	}
	r.next = append(r.next, useToken, tokenPipe, signInLogs, "{again}")
	return r
}

// unmanagedDevice is for a policy that wants a managed device. A code cannot prove
// one: the device on which it is entered does not count for the one that asked
// (github.com/Azure/azure-cli/issues/27919, 530033). Where a policy is only for
// browsers or only for applications, the other way passes (issues/30575).
//
// Source: learn.microsoft.com/entra/identity/conditional-access/concept-conditional-access-grant.
func unmanagedDevice(f Facts) row {
	r := row{
		what:  "A policy of the tenant allows sign-in only from managed devices.",
		short: "a policy allows managed devices only",
		why:   "This computer is not enrolled, not compliant or not joined to the tenant, or the browser does not tell Entra ID about it.",
		next: []string{
			"Sign in on a managed computer, with a browser that is connected to the work account (Edge).",
			useToken, tokenPipe,
			"If the policy is only for browsers, a code may pass: --login device-code",
			"Or let a colleague on a managed computer do it.", "{again}",
		}, class: ClassPolicy,
	}
	if f.Login == loginDevice {
		r.why = "A sign-in with a code cannot prove which device it comes from."
		r.next = []string{
			"On a managed computer sign in with the browser, preferably one that is connected to the work account (Edge): --login browser",
			useToken, tokenPipe,
			"Or let a colleague on a managed computer do it.", "{again}",
		}
	}
	return r
}

// timeoutRow is for a person who did not finish signing in.
func timeoutRow(e *entra.SignInTimeoutError) row {
	r := row{
		what:  "The sign-in was not finished in time.",
		short: "nobody finished the sign-in",
		why:   "Nobody came back from the sign-in page within " + wait(e.Limit) + ". The page may have been closed, or the browser could not come back to this computer.",
		next: []string{
			"Try again, and stay on the page until it says that you can close it.",
			"If no browser opens here, or it shows an address with localhost that does not load, sign in with a code: --login device-code",
		}, class: ClassAuth,
	}
	if e.DeviceCode {
		r.why = "Nobody entered the code within " + wait(e.Limit) + "; then it expires."
		r.next = []string{"Try again: open the address on any computer or phone, enter the new code and finish the sign-in there."}
	}
	r.next = append(r.next, "Where nobody can sign in, as in a pipeline: --login app, or a token made elsewhere (--access-token-stdin).")
	return r
}

// wrongTokenRow is for a sign-in or token that is good for something else.
func wrongTokenRow(e *entra.WrongTokenError) row {
	r := row{
		what: "This access token cannot be used here.", why: sentence(e), class: ClassAuth,
		next: []string{"Make a fresh one for Microsoft Graph and pipe it in, without showing it:", tokenPipe},
	}
	switch e.Reason {
	case entra.TokenExpired:
		r.what = "The access token has expired."
		r.next = append(r.next, "If it was made a moment ago, check this computer's clock.")
	case entra.NotForGraph:
		r.what = "The access token is meant for another service."
		r.next = append(r.next, "Check the cloud: now it is “{cloud}”.")
	case entra.OtherTenant:
		r.what = "The sign-in belongs to another tenant."
		r.why += " Nothing was changed in either."
		r.next = []string{
			"If the tenant you signed in to is the right one, correct --tenant-id.",
			"Else sign in with an account of the right tenant; a private browser window asks for the account anew.",
			"A token has to be made for that tenant: az account get-access-token --tenant {tenantarg} --resource-type ms-graph",
		}
	}
	return r
}

// listenRow is for a computer that has no port for the browser to come back to.
func listenRow(e *entra.ListenError) row {
	return row{
		what:  "The browser could not have come back to c2conn after the sign-in.",
		short: "no local port for the sign-in",
		why:   sentence(e),
		next:  []string{"Sign in with a code instead: --login device-code", "If a security program of this computer forbids local ports, allow it for c2conn."},
		class: ClassOther,
	}
}
