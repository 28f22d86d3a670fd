package registration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/c2conn/c2conn/connections"
)

// Manifest is the part of an application's manifest that asks for permissions, in
// the Microsoft Graph format, the only one that the Manifest page knows since 2025.
//
// Source: learn.microsoft.com/entra/identity-platform/reference-microsoft-graph-app-manifest
type Manifest struct {
	RequiredResourceAccess []ManifestResource `json:"requiredResourceAccess"`
}

// ManifestResource is the permissions wanted on one service.
type ManifestResource struct {
	ResourceAppID  string           `json:"resourceAppId"`
	ResourceAccess []ManifestAccess `json:"resourceAccess"`
}

// ManifestAccess is one permission; Type is Role for an application permission.
type ManifestAccess struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

// ManifestApplication is a whole application as POST /applications takes it.
type ManifestApplication struct {
	DisplayName    string `json:"displayName"`
	SignInAudience string `json:"signInAudience"` // always AzureADMyOrg: this tenant only
	Notes          string `json:"notes"`
	Manifest
}

// MakeManifest gives the permissions of a kind, for the Manifest page.
func MakeManifest(kind connections.Kind, o GuideOptions) Manifest {
	m := Manifest{RequiredResourceAccess: []ManifestResource{}}
	for _, group := range byResource(o.documents(kind)) {
		r := ManifestResource{ResourceAppID: group[0].ResourceAppID}
		for _, p := range group {
			if o.wants(p) {
				r.ResourceAccess = append(r.ResourceAccess, ManifestAccess{ID: p.RoleID, Type: p.Type})
			}
		}
		if len(r.ResourceAccess) > 0 {
			m.RequiredResourceAccess = append(m.RequiredResourceAccess, r)
		}
	}
	return m
}

// MakeApplication gives the application of a kind, without its certificate.
func MakeApplication(kind connections.Kind, o GuideOptions) ManifestApplication {
	return ManifestApplication{
		DisplayName: o.with(kind).AppName, SignInAudience: "AzureADMyOrg",
		Notes:    "Registered by hand after the guide of c2conn, catalogue " + CatalogueVersion + ".",
		Manifest: MakeManifest(kind, o),
	}
}

// JSON is the manifest as text to paste.
func (m Manifest) JSON() string { return asciiJSON(m) }

// asciiJSON is v as indented JSON in which everything beyond ASCII is escaped:
// Windows PowerShell takes a script without a byte order mark for the code page of
// the country.
func asciiJSON(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return "" // strings, slices and structs always encode
	}
	return ascii(b.String())
}

// ascii escapes what is beyond ASCII, as JSON does.
func ascii(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch high, low := utf16.EncodeRune(r); {
		case r < utf8.RuneSelf:
			b.WriteRune(r)
		case high != utf8.RuneError:
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
