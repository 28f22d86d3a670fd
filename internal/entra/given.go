package entra

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/cloud"
)

// graphAppID is the application id of Microsoft Graph in every cloud; tokens may
// name it as their audience.
const graphAppID = "00000003-0000-0000-c000-000000000000"

// skew is how much the clocks of this computer and of Entra ID may differ.
const skew = 5 * time.Minute

// GivenToken makes an Admin of an access token that was fetched elsewhere
// (--access-token-stdin), e.g. by
//
//	az account get-access-token --resource-type ms-graph --query accessToken -o tsv
//
// A person's and an application's token will do. It must be for Microsoft Graph
// of c and not have expired; else a *WrongTokenError. It cannot be renewed: when
// Graph withdraws it, Token answers an *Error.
func GivenToken(raw connections.Secret, c cloud.Cloud, now time.Time) (*Admin, error) {
	token := bytes.Trim(raw.Reveal(), "\"' \t\r\n\ufeff")
	if word, rest, ok := bytes.Cut(token, []byte(" ")); ok && strings.EqualFold(string(word), "bearer") {
		token = bytes.TrimSpace(rest)
	}
	claims, audience, ok := readAdmin(token)
	// A space or line break inside would end the Authorization header.
	if !ok || !guid().MatchString(claims.TenantID) || claims.ExpiresOn.IsZero() || bytes.ContainsFunc(token, notOfJWT) {
		return nil, &WrongTokenError{Reason: NotAToken}
	}
	if !strings.EqualFold(strings.TrimSuffix(audience, "/"), c.Graph) && !strings.EqualFold(audience, graphAppID) {
		return nil, &WrongTokenError{Reason: NotForGraph, Got: audience, Want: c.Graph}
	}
	if !claims.ExpiresOn.Add(skew).After(now) {
		return nil, &WrongTokenError{Reason: TokenExpired, ExpiresOn: claims.ExpiresOn}
	}
	given := adminToken{raw: connections.NewSecret(token), claims: claims}
	return newAdmin(given, func(_ context.Context, challenge string) (adminToken, error) {
		if challenge != "" {
			return adminToken{}, &Error{OAuth: "interaction_required", Claims: challenge, Description: "the access token was withdrawn; fetch a new one"}
		}
		return given, nil
	}), nil
}

// notOfJWT tells whether r cannot be part of a JWT (RFC 7515: base64url and dots;
// some issuers pad).
func notOfJWT(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.=", r)
}
