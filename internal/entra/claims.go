package entra

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"github.com/c2conn/c2conn/internal/transport"
)

// Limits of what is read from a token; real app tokens are under 8 KiB.
const (
	tokenLimit = 256 << 10
	rolesLimit = 500
)

// Claims is what an access token says of itself. The signature is not checked:
// the token is meant for Graph or Exchange, which check it, not for c2conn.
// So claims explain a failure, they never permit anything.
//
// Source: learn.microsoft.com/entra/identity-platform/access-token-claims-reference.
type Claims struct {
	Audience string
	TenantID string
	AppID    string   // "appid" (v1.0 tokens) or "azp" (v2.0)
	ObjectID string   // of the service principal
	Roles    []string // application permissions granted, sorted
	AppIDACR string   // how the app proved itself: "1" secret, "2" certificate, "0" not at all
	CAE      bool     // the token lives long and may be withdrawn by a claims challenge
	Opaque   bool     // the token cannot be read; all else is empty then
}

// parseClaims reads the payload of a JWT (RFC 7519). A token that is none is
// opaque, which is no error: services may change their tokens any day.
func parseClaims(token []byte) Claims {
	opaque := Claims{Opaque: true}
	var j struct {
		Aud     texts `json:"aud"`
		Tid     text  `json:"tid"`
		AppID   text  `json:"appid"`
		Azp     text  `json:"azp"`
		Oid     text  `json:"oid"`
		Roles   texts `json:"roles"`
		AppACR  text  `json:"appidacr"`
		AzpACR  text  `json:"azpacr"`
		ClientC texts `json:"xms_cc"`
	}
	if !readPayload(token, &j) {
		return opaque
	}
	c := Claims{
		TenantID: clean(j.Tid),
		AppID:    first(clean(j.AppID), clean(j.Azp)),
		ObjectID: clean(j.Oid),
		AppIDACR: first(clean(j.AppACR), clean(j.AzpACR)),
	}
	if len(j.Aud) > 0 {
		c.Audience = transport.CleanText(j.Aud[0], 200)
	}
	for _, r := range j.Roles {
		if r = transport.CleanText(r, 120); r != "" && len(c.Roles) < rolesLimit {
			c.Roles = append(c.Roles, r)
		}
	}
	slices.Sort(c.Roles)
	c.Roles = slices.Compact(c.Roles)
	c.CAE = slices.ContainsFunc(j.ClientC, func(s string) bool { return strings.EqualFold(s, "cp1") })
	return c
}

// readPayload decodes the middle part of a JWT; it answers false for a text that
// is no JWT.
func readPayload(token []byte, into any) bool {
	if len(token) > tokenLimit {
		return false
	}
	parts := strings.Split(string(token), ".")
	if len(parts) != 3 {
		return false
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	return err == nil && json.Unmarshal(payload, into) == nil
}

// texts is a JSON string or a list of them; anything else counts as missing.
type texts []string

// UnmarshalJSON never fails.
func (t *texts) UnmarshalJSON(b []byte) error {
	var one text
	var many []text
	if json.Unmarshal(b, &many) == nil {
		for _, s := range many {
			*t = append(*t, string(s))
		}
		return nil
	}
	if json.Unmarshal(b, &one) == nil && one != "" {
		*t = texts{string(one)}
	}
	return nil
}

func clean(t text) string { return transport.CleanText(string(t), 64) }

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
