package advice

// entraEntry is one row of the AADSTS tables and the numbers it is for.
//
// Source of all meanings: learn.microsoft.com/entra/identity-platform/reference-error-codes.
type entraEntry struct {
	codes []int
	row   row
}

// entraAppRows are the refusals that an application meets when it signs in by
// itself, with a secret or a certificate.
var entraAppRows = []entraEntry{
	{[]int{90002}, row{
		what:  "Entra ID knows no tenant “{tenant}”.",
		short: "no such tenant in this cloud",
		why:   "The tenant ID or domain is misspelt, the tenant has no active subscription, or it lives in another cloud than {cloudtitle}.",
		next: []string{
			"Compare the tenant ID with Directory (tenant) ID on the application's Overview page.",
			"If the tenant is in US Government or in China, choose that cloud: --cloud usgov, --cloud dod or --cloud china.",
			"{edit}",
			"{again}",
		}, class: ClassAuth,
	}},
	{[]int{900023}, row{
		what:  "“{tenant}” is not a tenant ID or domain.",
		short: "not a tenant ID or domain",
		why:   "Entra ID takes a GUID or a domain name such as contoso.onmicrosoft.com.",
		next:  []string{"Copy Directory (tenant) ID from the application's Overview page.", "{edit}"}, class: ClassAuth,
	}},
	{[]int{90038, 900382, 900432}, row{
		what:  "The tenant “{tenant}” lives in another cloud.",
		short: "the tenant lives in another cloud",
		why:   "c2conn asked {cloudtitle}, and Entra ID says that the tenant belongs to a national cloud, or the other way round.",
		next:  []string{"Choose the tenant's cloud: --cloud global, --cloud usgov, --cloud dod or --cloud china.", "{edit}", "{again}"}, class: ClassAuth,
	}},
	{[]int{90019, 50059, 50128}, row{
		what: "Entra ID could not tell which tenant is meant.",
		why:  "The request names no tenant, or a domain that no tenant has verified.",
		next: []string{"Give the tenant ID (a GUID) instead of a domain. It is Directory (tenant) ID on the application's Overview page.", "{edit}", "{again}"}, class: ClassAuth,
	}},
	{[]int{50194, 9002332}, row{
		what:  "The application belongs to one tenant, but was asked for without naming it.",
		short: "the application belongs to one tenant; name it",
		why:   "A single-tenant application cannot sign in at “common” or “organizations”.",
		next:  []string{"Give the tenant ID of the tenant in which the application is registered.", "{edit}", "{again}"}, class: ClassAuth,
	}},
	{[]int{700016}, row{
		what:  "The tenant {tenant} has no application with the client ID {client}.",
		short: "the tenant has no application with this client ID",
		why:   "Most often the Object ID was copied instead of the Application (client) ID, or the application is registered in another tenant. A registration made minutes ago may not be known everywhere yet.",
		next: []string{
			"On the application's Overview page copy Application (client) ID, not Object ID.",
			"On the same page compare Directory (tenant) ID with {tenant}.",
			"{edit}",
			"If the application is new, wait two minutes.",
			"{again}",
		}, class: ClassAuth,
	}},
	{[]int{7000229}, row{
		what:  "The application exists, but the tenant {tenant} has no enterprise application (service principal) for it.",
		short: "the application has no service principal in the tenant",
		why:   "It was registered without one, or the enterprise application was deleted. A registration made minutes ago may not be known everywhere yet.",
		next: []string{
			acceptStep,
			"{repair}",
			"Wait two minutes.",
			"{again}",
		}, class: ClassConsent,
	}},
	{[]int{500011}, row{
		what:  "The tenant {tenant} does not have the service that c2conn asked for.",
		short: "the tenant does not have this service",
		why:   "Its Exchange Online (or SharePoint Online) service is not set up, usually because there is no licence, or the cloud is the wrong one.",
		next: []string{
			"In the Microsoft 365 admin centre check that the tenant has a subscription with Exchange Online.",
			"Check the cloud: now it is “{cloud}”.",
			"{again}",
		}, class: ClassAuth,
	}},
	{[]int{650052}, row{
		what:  "The tenant {tenant} has no subscription to a service that the application asks for.",
		short: "the tenant has no subscription to the service",
		why:   "A permission belongs to a service that this tenant has not enabled, so its service principal is missing.",
		next: []string{
			"In the Microsoft 365 admin centre check the subscriptions (Exchange Online, SharePoint Online, Intune).",
			"Or remove the permissions of that service: {permissions}",
			"{again}",
		}, class: ClassConsent,
	}},
	{[]int{650056, 650057}, row{
		what:  "The application's registration does not list the permission that is asked for.",
		short: "the permission is not in the registration",
		why:   "The permissions were never added to the registration, or were removed, or the client ID is that of another application.",
		next:  []string{"{fix}", "Or add the permissions and press Grant admin consent: {permissions}", "{again}"}, class: ClassConsent,
	}},
	{[]int{65001}, row{
		what:  "Nobody has consented to the application's permissions yet.",
		short: "nobody has consented to the permissions yet",
		why:   "Application permissions work only after an administrator has granted them for the whole organisation.",
		next: []string{
			"{grant}",
			"Or press Grant admin consent: {permissions}",
			"Wait a few minutes: the consent takes time to spread.",
			"{again}",
		}, class: ClassConsent,
	}},
	{[]int{65006}, row{
		what:  "A permission of the application does not exist in this cloud.",
		short: "a permission does not exist in this cloud",
		why:   "The national clouds know fewer permissions than the worldwide one.",
		next:  []string{"Compare the permissions with the list for this kind of connection: {permissions}", "Remove those that this cloud does not know.", "{again}"}, class: ClassConsent,
	}},
	{[]int{7000112, 70001}, row{
		what:  "The application is switched off in the tenant {tenant}.",
		short: "the application is switched off in the tenant",
		why:   "Somebody disabled sign-in for the enterprise application, or deactivated the registration.",
		next: []string{
			"Entra admin centre › Enterprise applications › your application › Properties: set “Enabled for users to sign in?” to Yes.",
			"If the registration is deactivated, activate it again: {overview}",
			"Ask first why it was switched off: it may have been on purpose.",
			"{again}",
		}, class: ClassAuth,
	}},
	{[]int{1000031}, row{
		what: "The application cannot be reached in Entra ID at the moment.",
		why:  "Microsoft or the tenant's administrator blocks it.",
		next: []string{"Look at the application's page for a notice: {overview}", "If there is none, ask Microsoft support with the trace id.", "{again}"}, class: ClassAuth,
	}},
	{[]int{7000215}, row{
		what: "The client secret is wrong.",
		why:  "Entra ID knows the application, but not this secret. Often the Secret ID was copied instead of the Value, a character got lost, or the secret belongs to another application or was deleted.",
		next: []string{
			"Make a new client secret and copy its Value at once: {credentials}",
			"Give it in a file or by standard input: {secretflags}",
			"{edit}",
			"If the secret is only a minute old, wait two minutes first.",
			"{again}",
		}, class: ClassAuth,
	}},
	{[]int{7000222}, row{
		what: "The client secret has expired.",
		why:  "Client secrets live 24 months at most; this one's time is over. The old Value cannot be used again.",
		next: []string{
			"Make a new client secret (or upload a certificate): {credentials}",
			"Copy the new Value at once: it is shown only once.",
			"{edit}",
			"{anew}",
			"{again}",
		}, class: ClassAuth,
	}},
	{[]int{700027}, row{
		what:  "The certificate is not registered on the application, or the registered one has expired.",
		short: "the application has no valid certificate like this one",
		why:   "c2conn signs with the certificate {thumbprint}. The application's list has no valid certificate with this thumbprint.",
		next: []string{
			"Compare the thumbprint with the list: {credentials}",
			"If it is missing there, upload its public part (.cer). For a certificate of the personal store this prints it; one in a file is imported first, with c2conn cert import FILE:",
			"$ c2conn cert export {thumbprintarg}",
			"{repair}",
			"If you uploaded it just now, wait two minutes.",
			"{again}",
		}, class: ClassAuth,
	}},
	{[]int{50013, 500133, 700024}, row{
		what:  "Entra ID did not accept the proof that c2conn signed with the certificate.",
		short: "the proof signed with the certificate was not accepted",
		why:   "Either this computer's clock is wrong, so that the proof is not valid yet or not any more, or the private key does not belong to the certificate {thumbprint}.",
		next: []string{
			"Set the clock and switch on time synchronisation (Linux: timedatectl set-ntp true; Windows: w32tm /resync).",
			"If the clock is right, import the certificate with its key again: c2conn cert import FILE",
			"{again}",
		}, class: ClassAuth,
	}},
	{[]int{7000218}, row{
		what:  "Entra ID received neither a certificate's signature nor a client secret.",
		short: "no proof of identity arrived",
		why:   "The application is confidential and has to prove its identity. This is a fault in c2conn, or something on the way removed part of the request.",
		next:  []string{"Check whether a proxy inspects the traffic to {login}.", "{again}", "If it stays, report it with the correlation id."}, class: ClassAuth,
	}},
	{[]int{700025}, row{
		what:  "The client ID {client} belongs to a public client, which must not use a secret or certificate.",
		short: "the client ID belongs to a public client",
		why:   "It is the ID of a desktop or mobile application, or of a Microsoft tool, not of the application you registered.",
		next:  []string{"Copy Application (client) ID from the Overview page of your own registration.", "{edit}"}, class: ClassAuth,
	}},
	{[]int{70011, 28002, 28003, 700022, 65002}, row{
		what:  "c2conn asked for permissions in a form that Entra ID does not take.",
		short: "Entra ID does not take the request",
		why:   "With a cloud that you defined, one of its addresses is wrong. Otherwise this is a fault in c2conn.",
		next:  []string{"Check the cloud: now it is “{cloud}”.", "$ c2conn cloud list", "If it is right, report the fault with the correlation id."}, class: ClassAuth,
	}},
	{[]int{50196}, row{
		what:  "Entra ID stopped the application because it asked for too many tokens in a row.",
		short: "too many tokens were asked for in a row",
		why:   "Several programs may use the same application at once, or a script repeats c2conn in a loop.",
		next:  []string{"Stop other programs and loops that use this client ID.", "Wait five minutes.", "{again}"}, class: ClassAuth,
	}},
	{[]int{53003}, row{
		what:  "A Conditional Access policy of the tenant blocks the sign-in.",
		short: "blocked by a Conditional Access policy",
		why:   "Policies for workload identities can limit an application to certain places or risk levels.",
		next: []string{
			"Entra admin centre › Monitoring › Sign-in logs › Service principal sign-ins: open the entry with this correlation id and read which policy it was.",
			"Ask the owner of that policy for an exception, or run c2conn from an allowed network.",
			"{again}",
		}, class: ClassPolicy,
	}},
	{[]int{500021, 500022}, row{
		what:  "Your network allows only certain tenants, and {tenant} is not among them.",
		short: "your network does not allow this tenant",
		why:   "A proxy of your organisation adds tenant restrictions to the traffic to {login}.",
		next:  []string{"Ask the network team to allow the tenant {tenant}, or run c2conn outside that network.", "{again}"}, class: ClassPolicy,
	}},
	{[]int{500212, 500213}, row{
		what: "Cross-tenant access settings forbid this sign-in.",
		why:  "The home tenant or the tenant {tenant} blocks access from the other one.",
		next: []string{"Sign in with an account that belongs to the tenant {tenant}.", "Or ask the owner of Entra ID › External Identities › Cross-tenant access settings.", "{again}"}, class: ClassPolicy,
	}},
}
