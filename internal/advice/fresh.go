package advice

// lagging are the refusals of a server of Entra ID that has not heard of a new
// application yet, and what it does not know. They look like lasting faults.
//
// Source: learn.microsoft.com/entra/identity-platform/reference-error-codes;
// devblogs.microsoft.com/identity/designing-for-eventual-consistency-for-microsoft-entra.
var lagging = map[int]string{
	700016:  "the application",
	7000229: "the service principal",
	7000215: "the client secret",
	700027:  "the certificate",
	65001:   "the consent",
}

// lags tells what is not known everywhere yet, where code is such a refusal of an
// application that c2conn registered a moment ago.
func (f Facts) lags(code int) (unknown string, ok bool) {
	if !f.Registered || f.Login != "" || f.Waiting && code == 65001 {
		return "", false
	}
	unknown, ok = lagging[code]
	return unknown, ok
}

// freshRow is what such a refusal means for an application that c2conn registered
// a moment ago: no answer of the user's is wrong. known is its row otherwise.
func freshRow(unknown string, known row) row {
	r := row{
		what:  capital(unknown) + " is not known everywhere in Entra ID yet.",
		short: "not known everywhere in the tenant yet",
		why:   "c2conn registered the application a short while ago, and Entra ID copies each change to many servers. That takes minutes as a rule, at times longer. Nothing is lost, and no answer of yours is wrong.",
		next: []string{
			"Wait some minutes; do not register again.", "{again}",
			"If it stays for hours, look whether somebody has deleted or changed the registration:", "$ c2conn app list",
		}, link: replicationLink, class: known.class,
	}
	if unknown == lagging[65001] {
		r.next = []string{"Wait some minutes; do not register again.", "{again}", "If it stays for hours, the consent may have been withdrawn:", "{grant}"}
	}
	return r
}

// waitFirst puts before the steps that waiting may be all that is needed, where
// c2conn registered the application a moment ago.
func (f Facts) waitFirst(next []string) []string {
	if !f.Registered || f.Waiting || f.Login != "" {
		return next
	}
	out := []string{"c2conn registered the application a short while ago, and not every server may know it and its permissions yet. Wait some minutes; do not register again.", "{again}", "Only if it stays so:"}
	for _, step := range next {
		if step != consentSpreads && step != "{again}" { // said already
			out = append(out, step)
		}
	}
	return out
}
