package advice

import (
	"errors"
	"strings"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/ews"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/sharepoint"
	"github.com/c2conn/c2conn/internal/transport"
)

// For returns the advice for err; nil for nil. An error that c2conn does not
// know still gets a useful one. All text from outside is stripped of control
// characters; nothing in it is a secret as long as err holds none.
func For(err error, f Facts) *Advice {
	if err == nil {
		return nil
	}
	return judge(err, f).advice(f)
}

// Short says what happened in at most 60 characters, for a list of checks. It
// names neither tenant nor account: they stand beside it. Empty for nil.
func Short(err error, f Facts) string {
	if err == nil {
		return ""
	}
	j := judge(err, f)
	if j.short != "" {
		return j.short
	}
	text := strings.TrimSuffix(Facts{}.filler().Replace(j.what), ".")
	if r := []rune(text); len(r) > shortLimit {
		return string(r[:shortLimit-1]) + "…"
	}
	return text
}

// shortLimit is the width of a finding on a screen of 80 columns.
const shortLimit = 60

// judge finds what err means. A service's refusal decides before anything that
// wraps or follows it; the end of a context is looked at last, because many
// errors carry it along.
func judge(err error, f Facts) judgement {
	var (
		refused     *entra.Error
		metadata    *entra.MetadataError
		answer      *entra.TokenAnswerError
		graphError  *graph.Error
		ewsError    *ews.Error
		siteError   *sharepoint.Error
		network     *transport.Error
		foreign     *transport.ForeignHostError
		endpoint    *ForeignEndpointError
		validity    *ValidityError
		missing     *MissingRolesError
		superfluous *SuperfluousRolesError
		wrongTenant *WrongTenantError
		noMailbox   *NoMailboxError
		notOffered  *NotOfferedError
		unfinished  *entra.SignInTimeoutError
		wrongToken  *entra.WrongTokenError
		deaf        *entra.ListenError
		bug         interface{ Bug() bool }
	)
	cancelled, late := ended(err)
	if j, ok := fromRotation(err, f); ok {
		return j
	}
	if j, ok := fromRegistration(err, f); ok {
		return j
	}
	if j, ok := fromSites(err, f); ok && !cancelled {
		return j
	}
	if j, ok := fromMigration(err); ok && !cancelled {
		return j
	}
	if j, ok := fromServers(err, f); ok && !cancelled {
		return j
	}
	switch {
	case errors.As(err, &refused):
		return fromEntra(refused, f)
	case cancelled:
		return judgement{row: cancelledRow}
	case errors.As(err, &unfinished):
		return judgement{row: timeoutRow(unfinished)}
	case errors.As(err, &wrongToken):
		return judgement{row: wrongTokenRow(wrongToken)}
	case errors.As(err, &deaf):
		return judgement{row: listenRow(deaf)}
	case errors.Is(err, graph.ErrOutcomeUnknown):
		return lostJudgement(err, f)
	case errors.As(err, &foreign):
		return judgement{row: foreignHostRow}
	case errors.As(err, &network):
		return fromNetwork(network).nearby(f)
	case late:
		return judgement{row: deadlineRow, codes: []string{"network_timeout"}}
	case errors.As(err, &metadata):
		return fromMetadata(metadata)
	case errors.As(err, &answer):
		return fromTokenAnswer(answer, f)
	case errors.As(err, &ewsError):
		return fromEWS(ewsError, f)
	case errors.As(err, &siteError):
		return fromSharePoint(siteError, f)
	case errors.As(err, &graphError):
		return fromGraph(graphError, f)
	case errors.As(err, &validity):
		return validityJudgement(validity, f)
	case errors.As(err, &missing):
		return missingJudgement(missing, f)
	case errors.As(err, &superfluous):
		return superfluousJudgement(superfluous)
	case errors.As(err, &wrongTenant):
		return tenantJudgement(wrongTenant)
	case errors.As(err, &endpoint):
		return endpointJudgement(endpoint)
	case errors.As(err, &noMailbox):
		return noMailboxJudgement(noMailbox)
	case errors.As(err, &notOffered):
		return judgement{row: row{
			what: "This kind of connection comes with a later version.", why: sentence(notOffered),
			next: []string{"Today c2conn makes and verifies connections to Microsoft 365:", "$ c2conn new {kind}"}, class: ClassUsage,
		}}
	case errors.As(err, &bug):
		return judgement{row: row{
			what: "A fault in c2conn stopped this step.", why: sentence(err),
			next: []string{"{again}", "If it stays, report it with the version:", "$ c2conn version"}, class: ClassOther,
		}}
	}
	if j, ok := fromLocal(err); ok {
		return j
	}
	return judgement{row: row{
		what: sentence(err), why: Unknown,
		next: []string{"{again}", "If it stays, report it with the version:", "$ c2conn version"}, class: ClassOther,
	}}
}

// Unknown is the Why of an error without a row of its own, whose text has to do.
const Unknown = "c2conn has no advice of its own for this."

// fromMetadata is the advice for sign-in metadata that cannot be believed.
func fromMetadata(e *entra.MetadataError) judgement {
	r := row{
		what: "{host} did not answer as Entra ID does.",
		why:  sentence(e) + " Nothing secret was sent.",
		next: []string{
			"Open https://{host} in a browser on this computer: a proxy or the sign-in page of a guest network may answer in its place.",
			"If you defined the cloud yourself, check its addresses: c2conn cloud list",
			"{again}",
		}, link: urlList, class: ClassAuth,
	}
	if e.Status >= 500 || e.Status == 429 {
		r.what = "{host} cannot answer at the moment."
		r.next = []string{"Wait a few minutes.", "{again}"}
	}
	return judgement{row: r.at(strings.TrimSpace(e.Host), "")}
}

// fromTokenAnswer is the advice for an answer to a sign-in that is not Entra
// ID's. The request had been sent, so it must be said what it held.
func fromTokenAnswer(e *entra.TokenAnswerError, f Facts) judgement {
	r := row{
		what:  "{host} did not answer the sign-in as Entra ID does.",
		short: "the answer to the sign-in is not Entra ID's",
		next: []string{
			"Ask the network team what stands between this computer and {host}, and whether {host} can pass uninspected.",
			"If you defined the cloud yourself, check its addresses: c2conn cloud list",
		}, link: urlList, class: ClassAuth,
	}
	switch f.CredentialType {
	case connections.TypeClientSecret:
		r.why = "The client secret had been sent with the request, so whatever answered may know it now."
		r.next = append(r.next, "If nobody can say what answered, make a new client secret and delete the old one: {credentials}")
	case connections.TypeCertificate:
		r.why = "A proof signed with the certificate had been sent with the request; it is good for minutes only. The private key was not sent."
	default:
		r.why = "The client secret, or a proof signed with the certificate, had been sent with the request."
		r.next = append(r.next, "If it was a client secret and nobody can say what answered, make a new one and delete the old one: {credentials}")
	}
	r.why = sentence(e) + " " + r.why
	r.next = append(r.next, "{again}")
	return judgement{row: r.at(strings.TrimSpace(e.Host), "")}
}
