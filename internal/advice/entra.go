package advice

import (
	"fmt"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/transport"
)

// clockSkew is from when on a difference of clocks is worth a word: Entra ID
// accepts assertions within five minutes of its own time.
const clockSkew = 2 * time.Minute

// lookup is Microsoft's page about one AADSTS number.
func lookup(code int) string {
	return fmt.Sprintf("https://login.microsoftonline.com/error?code=%d", code)
}

// entraIDs are the codes and ids of a refusal.
func entraIDs(e *entra.Error) judgement {
	j := judgement{trace: e.TraceID, correlation: e.CorrelationID, time: e.Time}
	for _, c := range e.Codes {
		j.codes = append(j.codes, fmt.Sprintf("AADSTS%d", c))
	}
	if len(j.codes) == 0 && e.OAuth != "" {
		j.codes = []string{transport.CleanText(e.OAuth, 60)}
	}
	return j
}

func fromEntra(e *entra.Error, f Facts) judgement {
	j := entraIDs(e)
	known := false
	for _, c := range e.Codes { // the first one that the table knows decides
		if j.row, known = entraRow(c, f); known {
			if j.link == "" {
				j.link = lookup(c)
			}
			adjust(&j, c, e, f)
			break
		}
	}
	if !known {
		j.row = entraWithoutRow(e)
		j.serviceAnswer = transport.CleanText(e.Description, 300)
	}
	return j
}

// adjust adds to a row what only this case shows.
func adjust(j *judgement, code int, e *entra.Error, f Facts) {
	if _, lags := f.lags(code); lags {
		return
	}
	switch code {
	case 7000215:
		if f.SecretIsID {
			j.what = "You pasted the Secret ID, not the secret's Value."
			j.short = "the Secret ID was pasted, not the secret's Value"
			j.why = "Both stand side by side on the page Certificates & secrets. The ID looks like a GUID, as yours does; the Value does not, and it is shown only once."
		}
	case 700027:
		if f.CredentialType == "client-secret" {
			return
		}
		if reason := transport.CleanText(e.Description, 300); reason != "" {
			j.serviceAnswer = reason // it tells an unknown key from an expired one
		}
	case 50013, 500133, 700024:
		if skew := e.Time.Sub(f.Now); !f.Now.IsZero() && !e.Time.IsZero() && skew.Abs() >= clockSkew {
			side := "slow"
			if skew < 0 {
				side = "fast"
			}
			j.short = fmt.Sprintf("this computer's clock is %s %s", minutes(skew.Abs()), side)
			j.what = strings.ToUpper(j.short[:1]) + j.short[1:] + "."
			j.why = "The proof of identity that the application sends is dated by this clock, and Entra ID accepts only a few minutes of difference."
		}
	case 500011:
		switch {
		case f.Resource != "":
			j.row, j.link = otherResourceRow, lookup(code)
		case aboutSharePoint(e, f):
			j.row, j.link = siteResourceRow, lookup(code)
		}
	case 90002, 700016:
		if f.Cloud.Name != "" && !f.Cloud.BuiltIn {
			j.next = append([]string{"The cloud “{cloud}” is defined by you: check its addresses with c2conn cloud list."}, j.next...)
		}
	}
}

func minutes(d time.Duration) string {
	if d >= 2*time.Hour {
		return fmt.Sprintf("about %d hours", int(d.Round(time.Hour).Hours()))
	}
	return fmt.Sprintf("about %d minutes", int(d.Round(time.Minute).Minutes()))
}

// entraRow finds the row of an AADSTS number. Some mean another thing when a
// person signs in.
func entraRow(code int, f Facts) (row, bool) {
	if f.person() {
		if r, ok := signInRow(code, f); ok {
			return r, true
		}
	}
	for _, t := range [][]entraEntry{entraAppRows, entraUserRows, entraServiceRows} {
		for _, e := range t {
			for _, c := range e.codes {
				if c == code {
					if unknown, lags := f.lags(code); lags {
						return freshRow(unknown, e.row), true
					}
					return e.row, true
				}
			}
		}
	}
	return row{}, false
}

// entraWithoutRow is for a number that no table has, or an answer without one.
func entraWithoutRow(e *entra.Error) row {
	r := row{class: ClassAuth, what: "Entra ID refused the sign-in."}
	switch {
	case e.Code() != 0:
		r.why = fmt.Sprintf("It gave the code AADSTS%d, for which c2conn has no advice of its own.", e.Code())
		r.link = lookup(e.Code())
		r.next = []string{"Open the link: Microsoft explains the code there.", "Correct what it names.", "{again}", "If it stays, give the trace id, the correlation id and the time to Microsoft support."}
	case e.Status >= 500 || e.Status == 429:
		r.what = fmt.Sprintf("Entra ID cannot answer at the moment (%d).", e.Status)
		r.why = "Its service is busy or disturbed. Nothing is wrong with your settings."
		r.next = []string{"Wait a few minutes.", "{again}", "If it stays, look at the service health page."}
		r.link = "https://status.cloud.microsoft"
	case e.Status == 404:
		r.why = "The sign-in address does not exist (404): the tenant is misspelt, or the cloud is the wrong one."
		r.next = []string{"Compare the tenant ID with the Overview page of the application.", "Check the cloud: now it is “{cloud}”.", "{again}"}
	default:
		r.why = fmt.Sprintf("Its answer (%d) names no code.", e.Status)
		r.next = []string{"Check that nothing between this computer and {login} changes the traffic, such as a proxy.", "{again}", "If it stays, give the correlation id and the time to Microsoft support."}
	}
	return r
}
