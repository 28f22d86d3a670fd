// Package entra hides MSAL and the token endpoint of Microsoft Entra ID: app
// tokens by certificate or by secret, what a refusal says, which tenant a
// domain belongs to, and what a token grants.
package entra
