package advice

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/ews"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/sharepoint"
	"github.com/c2conn/c2conn/internal/transport"
)

// Who may do what, as Entra ID names the roles.
//
// Source: learn.microsoft.com/entra/identity/role-based-access-control/permissions-reference
// and /entra/identity/enterprise-apps/grant-admin-consent.
const (
	registerRoles = "Global Administrator, Application Administrator or Cloud Application Administrator"
	consentRoles  = "Global Administrator or Privileged Role Administrator" // to permissions of Microsoft Graph
	exchangeRoles = "Global Administrator, Privileged Role Administrator, Application Administrator or Cloud Application Administrator"
)

const (
	pimStep   = "If you use Privileged Identity Management: activate the role, then sign in anew. A sign-in made before does not gain the role."
	byHand    = "Or have it registered by hand; this prints each step:"
	guide     = "$ c2conn app guide {kind}"
	sameAgain = "Run the same command again, with one of these:"
	goesOn    = "Wait a few minutes. Then run the same command again: it goes on where it stopped."
)

const (
	policyLink      = "https://learn.microsoft.com/entra/identity/enterprise-apps/configure-app-management-policies"
	limitsLink      = "https://learn.microsoft.com/entra/identity/users/directory-service-limits-restrictions"
	replicationLink = "https://devblogs.microsoft.com/identity/designing-for-eventual-consistency-for-microsoft-entra/"
	rolesLink       = "https://learn.microsoft.com/entra/identity/enterprise-apps/grant-admin-consent"
)

// fromRegistration finds the advice for an error that ends a registration.
func fromRegistration(err error, f Facts) (judgement, bool) {
	var (
		rollback   *RollbackError
		lifetime   *PolicyLifetimeError
		secrets    *SecretsForbiddenError
		forbidden  *RegistrationForbiddenError
		consent    *ConsentNeededError
		exists     *ExistsError
		replicates *ReplicationError
		unfinished *UnfinishedError
		quota      *QuotaError
		resource   *NoResourceError
		lost       *LostAnswerError
		account    *AccountNeededError
		gone       *RegistrationGoneError
	)
	told := func(cause error, r row) (judgement, bool) {
		j := idsOf(cause)
		j.row = r
		return j, true
	}
	switch {
	case errors.As(err, &rollback): // first: it tells what another error left behind
		return told(rollback.Err, rollbackRow(rollback))
	case errors.Is(err, context.Canceled):
		return judgement{}, false
	case errors.As(err, &lifetime):
		return told(lifetime.Err, lifetimeRow(lifetime, f))
	case errors.As(err, &secrets):
		return told(secrets.Err, secretsRow)
	case errors.As(err, &forbidden):
		return told(forbidden.Err, forbiddenRow(forbidden.Account, forbidden.Roles, f))
	case errors.As(err, &consent):
		return told(consent.Err, consentRow(consent, f))
	case errors.As(err, &exists):
		return told(nil, existsRow(exists))
	case errors.As(err, &replicates):
		return told(replicates.Last, replicationRow(replicates, f))
	case errors.As(err, &unfinished):
		return told(nil, unfinishedRow(unfinished))
	case errors.As(err, &quota):
		return told(quota.Err, quotaRow)
	case errors.As(err, &resource):
		return told(resource.Err, resourceRow(resource))
	case errors.As(err, &lost):
		return told(lost.Err, lostRow(lost, f))
	case errors.As(err, &account):
		return told(nil, accountRow(account))
	case errors.As(err, &gone):
		return told(nil, lostRegistrationRow(gone))
	}
	return judgement{}, false
}

// idsOf are the codes and ids of the refusal that an error carries, for support.
func idsOf(err error) judgement {
	var refused *entra.Error
	var answer *graph.Error
	var site *sharepoint.Error
	var soap *ews.Error
	switch {
	case errors.As(err, &refused):
		return entraIDs(refused)
	case errors.As(err, &answer):
		return graphIDs(answer)
	case errors.As(err, &site):
		return sharePointIDs(site)
	case errors.As(err, &soap):
		return ewsIDs(soap)
	}
	return judgement{}
}

func lifetimeRow(e *PolicyLifetimeError, f Facts) row {
	r := row{
		short: "a policy forbids credentials that live this long",
		what:  "A policy of the tenant forbids a " + credentialWord(f) + " that lives " + days(e.Wanted) + ".",
		why:   "An application management policy limits how long the credentials of applications are valid.",
		link:  policyLink, class: ClassPolicy,
	}
	if e.PolicyID != "" {
		r.why = "The application management policy " + or(e.PolicyID, "") + " limits how long the credentials of applications are valid."
	}
	const renew, owner = " has to be renewed that often; c2conn list shows when it ends.", "ask the owner of the policy for an exception (Entra ID › Enterprise apps › Application policies)."
	if e.Wanted > 0 && e.Wanted <= shortestTried && e.Allowed == 0 {
		// The ladder of --cert-days longest ends here: it must not be proposed again.
		r.why += " It accepts nothing of " + days(e.Wanted) + " or more, and c2conn tries nothing shorter by itself."
		r.next = []string{
			"Ask the owner of the policy how many days it allows, and run the same command again with that number, for example --cert-days " + number(max(e.Wanted/3, 24*time.Hour)) + ".",
			"Mind that the " + credentialWord(f) + renew,
			"Or " + owner,
			"Or register by hand with a certificate that the policy allows; this prints each step:", guide,
		}
		return r
	}
	// How long the tenant allows is often not readable: then Allowed is a guess.
	r.next = []string{"Run the same command again with --cert-days longest: c2conn then takes the longest life that the tenant allows."}
	if e.Allowed > 0 {
		r.next = append(r.next, "Or say it yourself: --cert-days "+number(e.Allowed))
	}
	if f.CredentialType != connections.TypeClientSecret {
		r.next = append(r.next, "A certificate of your own (--cert-file) has to be made anew, with a shorter life.")
	}
	r.next = append(r.next, "Mind that the "+credentialWord(f)+renew, "If that is too short, "+owner)
	return r
}

// shortestTried is the end of the ladder of --cert-days longest, leap day included.
const shortestTried = 91 * 24 * time.Hour

// number is a lifetime as --cert-days wants it.
func number(d time.Duration) string { return strconv.Itoa(int(d / (24 * time.Hour))) }

func credentialWord(f Facts) string {
	if f.CredentialType == connections.TypeClientSecret {
		return "client secret"
	}
	return "certificate"
}

var secretsRow = row{
	what: "A policy of the tenant forbids client secrets.",
	why:  "An application management policy of the tenant does not let applications have them.",
	next: []string{"Run the same command again without --secret: c2conn then makes a certificate. Its private key never leaves your store."},
	link: policyLink, class: ClassPolicy,
}

// forbiddenRow is for an account that may not register applications.
func forbiddenRow(account string, roles []string, f Facts) row {
	if f.Login == loginApp {
		return row{
			what:  "The application that signed in may not register applications in {tenant}.",
			short: "the application may not register others",
			why:   "That takes the permission Application.ReadWrite.OwnedBy (or Application.ReadWrite.All) of Microsoft Graph.",
			next:  []string{"Give it that permission as an application permission, with admin consent (App registrations › that application › API permissions).", "Or sign in as a person: --login browser", "{again}"},
			link:  "https://learn.microsoft.com/graph/api/application-post-applications", class: ClassPolicy,
		}
	}
	r := row{
		what:  or(account, "{admin}") + " may not register applications in {tenant}.",
		short: "the account may not register applications",
		why:   "In this tenant that takes an administrator's role, and the account has none that may at the moment.",
		next: []string{
			"Sign in as " + registerRoles + ". Global Administrator can do all that is needed at once.",
			pimStep, byHand, guide,
		}, link: rolesLink, class: ClassPolicy,
	}
	if role := enough(roles); role != "" {
		return refusedRow(or(account, "{admin}"), role, f)
	}
	if len(roles) > 0 {
		r.why = "In this tenant that takes an administrator's role, and none that the account has at the moment is enough: " + or(strings.Join(roles, ", "), "") + "."
	}
	return r
}

// enough is the first of the roles with which registering should not be refused.
func enough(roles []string) string {
	for _, r := range roles {
		switch r = or(r, ""); r {
		case "Global Administrator", "Application Administrator", "Cloud Application Administrator":
			return r
		}
	}
	return ""
}

// refusedRow is for an account that has the role and was refused all the same.
func refusedRow(account, role string, f Facts) row {
	r := row{
		what:  account + " was refused, although the role " + role + " should be enough in {tenant}.",
		short: "refused, although the role should be enough",
		why:   "Something narrower than the role stands in the way: the sign-in does not carry the permission, a policy of the tenant forbids the change, or the application is in a restricted management administrative unit.",
		next: []string{
			"Sign in anew. A sign-in made before the role was activated does not have it yet.",
			"If you sign in with an application of your own, give it the delegated permissions Application.ReadWrite.All and AppRoleAssignment.ReadWrite.All.",
			useAzureCLI,
		}, link: rolesLink, class: ClassPolicy,
	}
	if f.Login == loginToken {
		r.next = []string{"Make a fresh token with Azure CLI, whose sign-in carries the permission, and pipe it in:", tokenPipe}
	}
	r.next = append(r.next,
		"Ask whoever owns the tenant's policies: Entra ID › Enterprise apps › Application policies, and Protected actions under Roles & admins.",
		"With --if-exists use: look whether the application is in a restricted management administrative unit (Roles & admins › Admin units).",
		"If it stays, give the ids below to Microsoft support.", byHand, guide)
	return r
}

func consentRow(e *ConsentNeededError, f Facts) row {
	r := row{
		what:  "The application is registered; an administrator still has to consent to its permissions.",
		short: "waiting for an administrator's consent",
		why:   "Consent to permissions of Microsoft Graph takes the role " + consentRoles + ".",
		link:  rolesLink, class: ClassConsent,
	}
	if !graphAmong(e.Roles) {
		r.why = "That takes the role " + exchangeRoles + "."
	}
	if e.Account != "" {
		r.why = or(e.Account, "") + " may not give it. " + r.why
	}
	for _, m := range e.Roles {
		r.next = append(r.next, missingLine(m))
	}
	if e.Link != "" {
		r.next = append(r.next, "Have one of them open this page and press Accept; the link holds no secret and may be sent by mail: "+or(e.Link, ""))
	} else {
		r.next = append(r.next, acceptStep)
	}
	if f.Connection == "" {
		r.next = append(r.next, pimStep)
		return r
	}
	name := shellWord(f.Connection)
	r.next = append(r.next, "Then this waits for the consent, verifies and finishes the connection:", "$ c2conn consent "+name,
		"Or have one of them sign in here, without the page:", "$ c2conn consent "+name+" --login browser", pimStep)
	return r
}

func existsRow(e *ExistsError) row {
	r := row{
		what:  "The tenant has an application named “" + or(e.Name, "") + "” already.",
		short: "the tenant has an application of that name",
		why:   "Perhaps an earlier registration, perhaps one that another program uses. c2conn neither changes it nor makes a second one unasked.",
		class: ClassOther,
	}
	if len(e.Found) > 1 {
		r.what = "The tenant has several applications named “" + or(e.Name, "") + "” already."
	}
	for _, found := range e.Found {
		r.next = append(r.next, "There is: "+or(found, ""))
	}
	use := "--if-exists use: it keeps all that it has and gets one more credential."
	if len(e.Found) > 1 {
		use = "--if-exists use --use-app CLIENT-ID: that one keeps all that it has and gets one more credential."
	}
	r.next = append(r.next, sameAgain,
		use,
		"--if-exists new: another one is made beside it; --app-name gives it a name of its own.",
		"To see who uses which:", "$ c2conn app list")
	return r
}

func replicationRow(e *ReplicationError, f Facts) row {
	r := row{
		what:  capital(or(e.What, "the registration")) + " is not known everywhere in the tenant yet.",
		short: "not known everywhere in the tenant yet",
		why:   "Entra ID copies each change to many servers. That takes minutes as a rule, at times longer; c2conn waited " + wait(e.Waited) + ". Nothing is lost.",
		class: ClassCheck, link: replicationLink,
	}
	var refused *entra.Error
	switch {
	case errors.As(e.Last, &refused) && lagging[refused.Code()] != "": // its words speak of a wrong tenant
		r.why += fmt.Sprintf(" The last answer was AADSTS%d: %s is not known there.", refused.Code(), lagging[refused.Code()])
	case e.Last != nil:
		r.why += " The last answer: " + sentence(e.Last)
	}
	switch {
	case f.Connection != "" && f.Registered:
		r.next = []string{"c2conn saves the connection as registered, not verified. Wait some minutes; do not register again.", "{again}"}
	case f.Connection != "":
		r.next = []string{"The connection is saved as registered, not verified. Wait some minutes.", "{again}"}
	default:
		r.next = waitMore(f)
	}
	return r
}

// waitMore are the steps where nothing is saved yet: the journal knows what is there.
func waitMore(f Facts) []string {
	if f.Connection != "" { // consent NAME has no such flag
		return []string{goesOn}
	}
	return []string{goesOn, "To wait longer: --consistency-timeout 15m"}
}

func unfinishedRow(e *UnfinishedError) row {
	r := row{
		what:  "An earlier registration of “" + or(e.AppName, "an application") + "” in " + or(e.Tenant, "the tenant") + " is not finished.",
		short: "an earlier registration is not finished",
		why:   "It was interrupted, and nobody said what to do about it, so nothing was changed.",
		next: []string{sameAgain,
			"--unfinished resume: it is finished, with the key that was made for it.",
			"--unfinished cleanup: what it made is removed, then a new one begins.",
			"To remove it and do nothing else:", strings.TrimSpace("$ c2conn app cleanup " + runArgument(e.Run)),
		}, class: ClassOther,
	}
	if e.Run != "" {
		r.why = "The run " + or(e.Run, "") + " was interrupted, and nobody said what to do about it, so nothing was changed."
	}
	if !e.Started.IsZero() {
		r.why = strings.Replace(r.why, "was interrupted", "of "+e.Started.UTC().Format("2006-01-02 15:04")+" UTC was interrupted", 1)
	}
	return r
}

var quotaRow = row{
	what: "The limit of objects in Entra ID is reached.",
	why:  "Without an administrator's role an account may own 250 objects, and deleted ones count for 30 days. A whole tenant has a limit too.",
	next: []string{
		"Sign in as " + registerRoles + ": the limit of 250 does not hold for them.",
		"Or delete applications that nobody uses, for good: App registrations › Deleted applications. These are the ones for c2conn:", "$ c2conn app list",
		"{again}",
	}, link: limitsLink, class: ClassPolicy,
}

func resourceRow(e *NoResourceError) row {
	return row{
		what:  "The tenant {tenant} does not have " + or(e.Resource, "a service that the application needs") + ".",
		short: "the tenant does not have the service",
		why:   "The service is not set up there, usually because there is no subscription to it, so its permissions cannot be granted.",
		next: []string{
			"Check that you signed in to the right tenant: --tenant-id",
			"In the Microsoft 365 admin centre check that the tenant has a subscription with it.",
			"Check the cloud: now it is “{cloud}”.", "{again}",
		}, class: ClassCheck,
	}
}

func lostRow(e *LostAnswerError, f Facts) row {
	r := row{
		what:  "Whether the tenant carried out “" + or(e.What, "the last change") + "” is not known.",
		short: "the answer to a change was lost",
		why:   "The request was sent, and the connection ended before the answer came. Sending it again blindly could make a second application.",
		next: []string{
			"Run the same command again: c2conn looks first what is in the tenant, and makes nothing twice.",
			"What is unfinished is listed, and removed when you ask, by:", "$ c2conn app cleanup",
		}, class: ClassOther,
	}
	if f.Removed {
		r.what = "The answer to “" + or(e.What, "the last change") + "” was lost on the way."
		r.why = "The request was sent, and the connection ended before the answer came. c2conn has looked since, and removed what it made."
		r.next = []string{"{again}", "If it happens each time, ask the network team what cuts the connection to Microsoft Graph."}
		return r
	}
	if e.Tag != "" {
		r.why += " If it was carried out, the application bears the tag " + or(e.Tag, "") + "."
	}
	return r
}

// lostJudgement is for a change of the directory whose answer was lost, told by
// the client itself.
func lostJudgement(err error, f Facts) judgement {
	var e *graph.Error
	var network *transport.Error
	j := judgement{row: lostRow(&LostAnswerError{}, f)}
	if errors.As(err, &e) {
		j = graphIDs(e)
		j.row = lostRow(&LostAnswerError{What: e.Op}, f)
	}
	if errors.As(err, &network) {
		j.codes = append(j.codes, "network_"+string(network.Kind))
	}
	return j
}

func rollbackRow(e *RollbackError) row {
	r := row{
		what:  "What the registration made could not be removed completely.",
		short: "not everything could be removed again",
		why:   "c2conn keeps a list of what is left and removes it when you ask.",
		class: ClassOther,
	}
	if e.Err != nil {
		r.why = sentence(e.Err) + " " + r.why
	}
	for _, left := range e.Left {
		r.next = append(r.next, "Still there: "+or(left, ""))
	}
	r.next = append(r.next, "Try again later:", "$ c2conn app cleanup",
		"Or delete it by hand: Entra admin centre › App registrations, and there › Deleted applications as well.")
	return r
}

func accountRow(e *AccountNeededError) row {
	r := row{
		what:  "A mailbox is needed that the connection can be checked with.",
		short: "a mailbox is needed: --mailbox",
		why:   "The checks open its inbox through Exchange Web Services, and none was named.",
		next:  []string{"Run the same command again with the dedicated account, any user with a mailbox: --mailbox NAME@DOMAIN"}, class: ClassUsage,
	}
	if e.Account != "" {
		r.why = or(e.Account, "") + " has no mailbox, and the checks have to open one through Exchange Web Services."
	}
	return r
}

// runArgument is the id of a run as it goes into a command: a ULID, or nothing.
func runArgument(run string) string {
	if len(run) == 26 && plainName().MatchString(run) {
		return run
	}
	return ""
}

// missingLine names a permission that waits for consent.
func missingLine(m Role) string {
	return "Missing: " + RoleLine(m)
}

// graphAmong reports whether one of the roles is Microsoft Graph's, to which
// fewer administrators may consent. Roles of unknown services count.
func graphAmong(roles []Role) bool {
	for _, r := range roles {
		if r.Service == "Microsoft Graph" || r.Service == "" {
			return true
		}
	}
	return len(roles) == 0
}

// wait spells how long c2conn waited.
func wait(d time.Duration) string {
	if d < 2*time.Minute {
		return fmt.Sprintf("%d seconds", int(d.Round(time.Second).Seconds()))
	}
	if d >= 3*time.Hour {
		return fmt.Sprintf("%d hours", int(d.Round(time.Hour).Hours()))
	}
	return fmt.Sprintf("%d minutes", int(d.Round(time.Minute).Minutes()))
}

func capital(s string) string {
	if s != "" && s[0] >= 'a' && s[0] <= 'z' {
		return strings.ToUpper(s[:1]) + s[1:]
	}
	return s
}
