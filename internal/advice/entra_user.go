package advice

// entraUserRows are the refusals that a person meets who signs in as administrator.
var entraUserRows = []entraEntry{
	{[]int{50020, 50034, 51004, 90072, 50014, 16000}, row{
		what:  "The account you signed in with does not belong to the tenant {tenant}.",
		short: "the account does not belong to the tenant",
		why:   "The browser may have picked another account of yours, or the name is misspelt.",
		next:  []string{"Sign in with an administrator of {tenant}. A private browser window asks for the account anew.", "If your account works in several tenants, name the one you mean: --tenant-id {tenantarg}", "{again}"}, class: ClassAuth,
	}},
	{[]int{500208}, row{
		what: "Personal Microsoft accounts cannot be used here.",
		why:  "Only work accounts of the tenant can register or change applications.",
		next: []string{"Sign in with a work account of {tenant}.", "{again}"}, class: ClassAuth,
	}},
	{[]int{65004}, row{
		what: "The consent was declined.",
		why:  "Somebody pressed Cancel on the page that lists the permissions.",
		next: []string{"Read what the permissions are for: {permissions}", "Sign in again and press Accept.", "{again}"}, class: ClassConsent,
	}},
	{[]int{90094, 90095}, row{
		what: "An administrator has to consent.",
		why:  "The account you signed in with may not grant these permissions.",
		next: []string{"{grant}", "The link holds no secret and may be sent by mail.", "After the consent wait a few minutes.", "{again}"}, class: ClassConsent,
	}},
	{[]int{90093}, row{
		what: "Your account may not grant the consent.",
		why:  "Consent to Microsoft Graph permissions takes the role Global Administrator or Privileged Role Administrator; Application Administrator is not enough.",
		next: []string{"{grant}", pimStep, "{again}"}, class: ClassConsent,
	}},
	{[]int{90099}, row{
		what:  "Partner accounts (CSP, GDAP) cannot do this in a customer's tenant.",
		short: "partner accounts cannot do this",
		why:   "The application used for signing in is not pre-authorised for partners.",
		next:  []string{"Sign in with an administrator account of the tenant {tenant} itself, not through the partner relationship.", "If you did, name the tenant: --tenant-id {tenantarg}", byHand, guide}, class: ClassAuth,
	}},
	{[]int{50076, 50079, 50074, 50072, 50078}, row{
		what: "Entra ID wants multi-factor authentication.",
		why:  "The sign-in was not confirmed by a second factor, the account has none yet, or the confirmation is too old.",
		next: []string{"Sign in with the browser and confirm the second factor: --login browser", "In a pipeline nobody can confirm it: use --login app, or a token made elsewhere (--access-token-stdin).", "If the account has no second factor yet, set it up at https://aka.ms/mfasetup", "{again}"}, class: ClassAuth,
	}},
	{[]int{50158}, row{
		what: "An outside provider has to confirm the sign-in.",
		why:  "A policy of the tenant sends the sign-in to another provider of multi-factor authentication.",
		next: []string{"Sign in with the browser and finish the provider's page: --login browser", "{again}"}, class: ClassAuth,
	}},
	{[]int{53000, 53001, 530033, 50097}, row{
		what:  "A policy of the tenant allows sign-in only from managed devices.",
		short: "a policy allows managed devices only",
		why:   "This computer is not enrolled, not compliant or not joined to the tenant, or the browser does not tell Entra ID about it.",
		next:  []string{"Sign in on a managed computer, with a browser that is connected to the work account (Edge).", "Or let a colleague on a managed computer do it.", "{again}"}, class: ClassPolicy,
	}},
	{[]int{53002}, row{
		what: "A policy of the tenant allows approved applications only.",
		why:  "The application used for signing in is not on the tenant's list.",
		next: []string{"Ask the owner of the Conditional Access policies for an exception.", byHand, guide}, class: ClassPolicy,
	}},
	{[]int{530032, 530034, 530035, 53004, 53010, 53011}, row{
		what: "A security policy of the tenant blocks the sign-in.",
		why:  "530032, 530034 and 530035 stand for a security policy or security defaults, 53004 and 53010 for a second factor that must be set up elsewhere, 53011 for an account at risk.",
		next: []string{"Open the link for the exact meaning.", "Ask the security team, with the correlation id.", "Partner accounts: sign in with an administrator of the tenant itself.", "{again}"}, class: ClassPolicy,
	}},
	{[]int{50105}, row{
		what:  "Your account is not assigned to the application used for signing in.",
		short: "the account is not assigned to the application",
		why:   "The tenant requires assignment for {bootstrap}.",
		next:  []string{"Ask an administrator to assign your account (Enterprise applications › the application › Users and groups).", useGraphCLI, "{again}"}, class: ClassPolicy,
	}},
	{[]int{50053}, row{
		what: "The account is locked.",
		why:  "There were too many wrong passwords, or the sign-in comes from an address with a bad reputation.",
		next: []string{"Wait fifteen minutes or ask an administrator to unlock it.", "{again}"}, class: ClassAuth,
	}},
	{[]int{50055, 50144}, row{
		what: "The account's password has expired.",
		why:  "Entra ID wants a new password first.",
		next: []string{"Sign in at https://myaccount.microsoft.com and change the password.", "{again}"}, class: ClassAuth,
	}},
	{[]int{50057}, row{
		what: "The account is disabled.",
		why:  "An administrator blocked its sign-in.",
		next: []string{"Use another administrator account, or have this one enabled.", "{again}"}, class: ClassAuth,
	}},
	{[]int{50126}, row{
		what: "User name or password is wrong.",
		why:  "Entra ID did not accept them.",
		next: []string{"Check the user name and type the password anew.", "{again}"}, class: ClassAuth,
	}},
	{[]int{70016}, row{
		what: "The sign-in with the device code is not finished yet.",
		why:  "Nobody has entered the code so far.",
		next: []string{"Open the address shown, enter the code and finish the sign-in."}, class: ClassAuth,
	}},
	{[]int{70018, 70019}, row{
		what: "The device code is wrong or has expired.",
		why:  "A code lives about fifteen minutes.",
		next: []string{"Start again and enter the new code.", "{again}"}, class: ClassAuth,
	}},
	{[]int{54005}, row{
		what: "The answer to the sign-in was lost on its way.",
		why:  "Entra ID gave the token, the connection broke, and a sign-in counts once only.",
		next: []string{"Sign in again.", "{again}"}, class: ClassAuth,
	}},
	{[]int{70043, 50173, 700082}, row{
		what: "The sign-in is too old.",
		why:  "The session was revoked, the password changed, or a policy limits how long a sign-in lives.",
		next: []string{"Sign in again.", "{again}"}, class: ClassAuth,
	}},
	{[]int{50011}, row{
		what:  "The application used for signing in does not allow the address http://localhost.",
		short: "the application does not allow http://localhost",
		why:   "After the sign-in the browser has to come back to c2conn on this computer.",
		next:  []string{"In the registration of that application (--bootstrap-client-id): Authentication › Add a platform › Mobile and desktop applications: add http://localhost", useAzureCLI, "Or sign in with a code, which needs no such address: --login device-code", "{again}"}, class: ClassAuth,
	}},
}

// entraServiceRows are troubles of Entra ID itself.
var entraServiceRows = []entraEntry{
	{[]int{90033, 90006, 90090, 50033, 90024, 50000}, row{
		what: "Entra ID has a passing problem.",
		why:  "It says itself that this goes away. Nothing is wrong with your settings.",
		next: []string{"Wait a minute.", "{again}", "If it stays, look at https://status.cloud.microsoft"}, class: ClassAuth,
	}},
	{[]int{90055}, row{
		what:  "The tenant {tenant} sends more sign-ins than Entra ID takes at the moment.",
		short: "the tenant asks for too many tokens",
		why:   "Some program of the tenant asks for too many tokens, and all of them are slowed down.",
		next:  []string{"Wait a few minutes.", "{again}"}, class: ClassAuth,
	}},
}
