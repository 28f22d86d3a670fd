package graph

import (
	"context"
	"strconv"
	"strings"
	"time"

	kiota "github.com/microsoft/kiota-abstractions-go"
)

// AppPolicy is the tenant's default rule for credentials of applications. Where
// several rules of a kind exist, the strictest counts.
//
// Source: learn.microsoft.com/graph/api/resources/tenantappmanagementpolicy.
type AppPolicy struct {
	ID      string
	Enabled bool // false: nothing of the rest is enforced
	// Certificates may live this long (0: any time), where the application was
	// made after KeysAfter (zero: whenever).
	KeyLifetime time.Duration
	KeysAfter   time.Time
	// Client secrets may not be added.
	SecretsForbidden bool
	SecretsAfter     time.Time
	// Client secrets may live this long (0: any time).
	SecretLifetime      time.Duration
	SecretLifetimeAfter time.Time
}

// Policy reads the tenant's default application management policy. Few tokens
// may (Policy.Read.All), and not every cloud has it.
//
// Source: learn.microsoft.com/graph/api/tenantappmanagementpolicy-get.
func (c *Client) Policy(ctx context.Context) (*AppPolicy, error) {
	var j policyJSON
	if err := c.ask(ctx, c.policy(&j)); err != nil {
		return nil, err
	}
	return j.plain(), nil
}

func (c *Client) policy(j *policyJSON) operation {
	return operation{name: "read the application management policy", read: into(j), request: c.address(kiota.GET, "/policies/defaultAppManagementPolicy")}
}

type policyJSON struct {
	ID           text `json:"id"`
	Enabled      flag `json:"isEnabled"`
	Applications struct {
		Passwords []restrictionJSON `json:"passwordCredentials"`
		Keys      []restrictionJSON `json:"keyCredentials"`
	} `json:"applicationRestrictions"`
}

type restrictionJSON struct {
	Type  text  `json:"restrictionType"`
	State text  `json:"state"`
	Max   text  `json:"maxLifetime"`
	After stamp `json:"restrictForAppsCreatedAfterDateTime"`
}

func (j *policyJSON) complete() bool { return j.ID != "" }

func (j *policyJSON) plain() *AppPolicy {
	p := &AppPolicy{ID: j.ID.clean(64), Enabled: bool(j.Enabled)}
	stricter := func(limit *time.Duration, after *time.Time, r restrictionJSON) {
		if d := isoDuration(string(r.Max)); d > 0 && (*limit == 0 || d < *limit) {
			*limit, *after = d, r.After.Time
		}
	}
	for _, r := range j.Applications.Keys {
		if r.State != "disabled" && r.Type == "asymmetricKeyLifetime" {
			stricter(&p.KeyLifetime, &p.KeysAfter, r)
		}
	}
	for _, r := range j.Applications.Passwords {
		switch {
		case r.State == "disabled":
		case r.Type == "passwordAddition":
			if !p.SecretsForbidden || r.After.Before(p.SecretsAfter) {
				p.SecretsForbidden, p.SecretsAfter = true, r.After.Time
			}
		case r.Type == "passwordLifetime":
			stricter(&p.SecretLifetime, &p.SecretLifetimeAfter, r)
		}
	}
	return p
}

// isoDuration reads an ISO 8601 duration such as P180D or P1Y; years count 365
// days and months 30. What is none is 0.
func isoDuration(s string) time.Duration {
	const day = 24 * time.Hour
	units := map[string]time.Duration{
		"Y": 365 * day, "M": 30 * day, "W": 7 * day, "D": day, "TH": time.Hour, "TM": time.Minute, "TS": time.Second,
	}
	s, ok := strings.CutPrefix(s, "P")
	if !ok {
		return 0
	}
	var sum float64
	for part := ""; s != ""; {
		if rest, found := strings.CutPrefix(s, "T"); found && part == "" {
			part, s = "T", rest
			continue
		}
		n := strings.IndexAny(s, "YMWDHST")
		if n < 1 {
			return 0
		}
		value, err := strconv.ParseFloat(s[:n], 64)
		unit, known := units[part+s[n:n+1]]
		if err != nil || !known || value < 0 {
			return 0
		}
		sum += value * float64(unit)
		s = s[n+1:]
	}
	if sum != sum || sum > float64(200*365*day) { // NaN, or beyond what a Duration holds
		return 0
	}
	return time.Duration(sum)
}
