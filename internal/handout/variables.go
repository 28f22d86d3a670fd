package handout

import (
	"slices"
	"strings"
)

// Variable is a variable of the environment.
type Variable struct {
	Name, Value string
	Secret      bool
}

// The variables that Azure's libraries read, as their EnvironmentCredential does.
//
// Source: learn.microsoft.com/azure/developer/go/sdk/authentication, "Environment
// variables", and the same of Python, JavaScript and .NET.
const (
	ClientID            = "AZURE_CLIENT_ID"
	TenantID            = "AZURE_TENANT_ID"
	ClientSecret        = "AZURE_CLIENT_SECRET" //nolint:gosec // the name of a variable
	CertificatePath     = "AZURE_CLIENT_CERTIFICATE_PATH"
	CertificatePassword = "AZURE_CLIENT_CERTIFICATE_PASSWORD" //nolint:gosec // likewise
	AuthorityHost       = "AZURE_AUTHORITY_HOST"
)

// competing are variables with which Azure's libraries would sign in otherwise than
// the connection does: a secret is preferred to a certificate, a user's password comes
// last, a chain is sent only where the registration trusts an issuer.
func competing() []string {
	return []string{ClientSecret, CertificatePath, CertificatePassword, AuthorityHost,
		"AZURE_USERNAME", "AZURE_PASSWORD", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN"}
}

// Reserved tells whether a variable is one that says how to sign in, to Azure's libraries
// or to c2conn, or that c2conn sets itself: nothing else may be put into it.
func Reserved(name string) bool {
	name = envName(name)
	return name == ClientID || name == TenantID || slices.Contains(competing(), name) || strings.HasPrefix(name, "C2CONN_")
}

// Competing are the variables that vars do not set and that would be used instead of
// them.
func Competing(vars []Variable) []string {
	return slices.DeleteFunc(competing(), func(name string) bool {
		return slices.ContainsFunc(vars, func(v Variable) bool { return v.Name == name })
	})
}
