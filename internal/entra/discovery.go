package entra

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/transport"
)

// service is the name of the other side in the words of a wait.
const service = "Microsoft Entra ID"

const configurationPath = "/v2.0/.well-known/openid-configuration"

// anyTenant stands in an address for the tenant of whoever signs in with a work
// or school account.
//
// Source: learn.microsoft.com/entra/identity-platform/v2-protocols, "Endpoints".
const anyTenant = "organizations"

// Tenant is what the metadata of the login service says of a tenant.
//
// Source: learn.microsoft.com/entra/identity-platform/v2-protocols-oidc.
type Tenant struct {
	ID             string // GUID
	RegionScope    string // tenant_region_scope, e.g. EU, NA, USGov
	RegionSubScope string // tenant_region_sub_scope, e.g. GCC, DODCON, DOD; mostly empty
	CloudInstance  string // cloud_instance_name, e.g. microsoftonline.com
	GraphHost      string // msgraph_host
	// OtherCloud is the name of the cloud that the tenant seems to live in when
	// it is not the one that was asked; a hint for the admin, else empty.
	OtherCloud string
}

// TenantNameError is an input that can be neither a tenant id nor a domain.
type TenantNameError struct{ Name string }

func (e *TenantNameError) Error() string {
	return fmt.Sprintf("%q is neither a tenant id (GUID) nor a domain name such as contoso.onmicrosoft.com", transport.CleanText(e.Name, 80))
}

var (
	guid   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`) })
	domain = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(?i)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$`)
	})
)

// ResolveTenant asks the login service of c which tenant domainOrID means. It
// answers with an *Error when there is none (AADSTS90002, 900023), with a
// *transport.Error when no answer came, with a *MetadataError when the answer
// cannot be believed.
func ResolveTenant(ctx context.Context, client *http.Client, c cloud.Cloud, domainOrID string) (Tenant, error) {
	d, err := discover(ctx, client, c, strings.TrimSpace(domainOrID))
	if err != nil {
		return Tenant{}, err
	}
	return d.tenant, nil
}

// discovery is an openid-configuration that was checked.
type discovery struct {
	tenant        Tenant
	issuer        string
	authorize     string
	tokenEndpoint *url.URL
}

// document is the discovery as MSAL wants to read it: only the checked part.
func (d *discovery) document() []byte {
	b, _ := json.Marshal(map[string]string{ // strings always marshal
		"issuer":                 d.issuer,
		"authorization_endpoint": d.authorize,
		"token_endpoint":         d.tokenEndpoint.String(),
	})
	return b
}

// devicePath is the path of the endpoint for device codes, found from the token
// endpoint's as MSAL finds it.
func (d *discovery) devicePath() string {
	return strings.ReplaceAll(d.tokenEndpoint.Path, "token", "devicecode")
}

func discover(ctx context.Context, client *http.Client, c cloud.Cloud, tenant string) (*discovery, error) {
	if len(tenant) > 253 || !guid().MatchString(tenant) && !domain().MatchString(tenant) {
		return nil, &TenantNameError{Name: tenant}
	}
	return fetchDiscovery(ctx, client, c, tenant)
}

// fetchDiscovery is discover for any name of a tenant, anyTenant included.
func fetchDiscovery(ctx context.Context, client *http.Client, c cloud.Cloud, tenant string) (*discovery, error) {
	ctx = transport.Service(ctx, service)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Authority(strings.ToLower(tenant))+configurationPath, nil)
	if err != nil {
		return nil, fmt.Errorf("find tenant %s: %w", tenant, err)
	}
	req.Header.Set("Accept", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("find tenant %s: %w", tenant, bare(err))
	}
	body, err := readBody(res)
	if err != nil {
		return nil, fmt.Errorf("find tenant %s: %w", tenant, err)
	}
	if res.StatusCode != http.StatusOK {
		e := parseError(res.StatusCode, body)
		e.stamp(res)
		return nil, e
	}
	if tenant == anyTenant {
		return readMetadata(c, res.StatusCode, body)
	}
	return readDiscovery(c, res.StatusCode, body)
}

// readDiscovery reads the metadata of one tenant.
func readDiscovery(c cloud.Cloud, status int, body []byte) (*discovery, error) {
	d, err := readMetadata(c, status, body)
	if err == nil && d.tenant.ID == "" {
		return nil, &MetadataError{Host: loginHost(c), Status: status, Reason: "it names no tenant id"}
	}
	return d, err
}

// readMetadata reads metadata that may be of no tenant in particular.
func readMetadata(c cloud.Cloud, status int, body []byte) (*discovery, error) {
	bad := func(reason string) error {
		return &MetadataError{Host: loginHost(c), Status: status, Reason: reason}
	}
	var j struct {
		Issuer        string `json:"issuer"`
		Authorize     string `json:"authorization_endpoint"`
		Token         string `json:"token_endpoint"`
		RegionScope   text   `json:"tenant_region_scope"`
		RegionSub     text   `json:"tenant_region_sub_scope"`
		CloudInstance text   `json:"cloud_instance_name"`
		GraphHost     text   `json:"msgraph_host"`
	}
	if len(body) > answerLimit || json.Unmarshal(body, &j) != nil {
		return nil, bad("it is no OpenID configuration")
	}
	issuer, err := trusted(c, j.Issuer)
	if err != nil {
		return nil, bad("its issuer " + err.Error())
	}
	token, err := trusted(c, j.Token)
	if err != nil {
		return nil, bad("its token endpoint " + err.Error())
	}
	if _, err := trusted(c, j.Authorize); err != nil {
		return nil, bad("its authorization endpoint " + err.Error())
	}
	id := tenantID(issuer.Path)
	if id == "" {
		id = tenantID(token.Path)
	}
	t := Tenant{
		ID:             strings.ToLower(id),
		RegionScope:    clean(j.RegionScope),
		RegionSubScope: clean(j.RegionSub),
		CloudInstance:  clean(j.CloudInstance),
		GraphHost:      clean(j.GraphHost),
	}
	t.OtherCloud = otherCloud(c, t)
	return &discovery{tenant: t, issuer: j.Issuer, authorize: j.Authorize, tokenEndpoint: token}, nil
}

// tenantID returns the first segment of an endpoint's path if it is a GUID.
func tenantID(path string) string {
	seg, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if guid().MatchString(seg) {
		return seg
	}
	return ""
}

// entraHost tells whether Entra ID itself is known under host, in any cloud.
//
// Source: instance discovery metadata; the list of MSAL for Go v1.10.1.
func entraHost(host string) bool {
	switch host {
	case "login.microsoftonline.com", "login.microsoft.com",
		"login.windows.net", "sts.windows.net",
		"login.microsoftonline.us", "login.usgovcloudapi.net", "login-us.microsoftonline.com",
		"login.partner.microsoftonline.cn", "login.chinacloudapi.cn",
		"login.sovcloud-identity.fr", "login.sovcloud-identity.de", "login.sovcloud-identity.sg":
		return true
	}
	return false
}

// trusted parses an endpoint and refuses it unless it is an https address on the
// cloud's login host or on one of Entra ID's own.
func trusted(c cloud.Cloud, raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if raw == "" || err != nil {
		return nil, errors.New("is missing or unreadable")
	}
	host := strings.ToLower(strings.TrimSuffix(u.Host, ":443"))
	if u.Scheme != "https" || u.User != nil {
		return nil, errors.New("is not a plain https address")
	}
	if host != loginHost(c) && !entraHost(host) {
		return nil, fmt.Errorf("is on %s, which is not the sign-in host of this cloud", transport.CleanText(host, 100))
	}
	return u, nil
}

// loginHost returns host[:port] of the cloud's login service, lower case.
func loginHost(c cloud.Cloud) string {
	u, err := url.Parse(c.Login)
	if err != nil {
		return ""
	}
	return strings.ToLower(strings.TrimSuffix(u.Host, ":443"))
}

// otherCloud compares where the tenant says it lives with the cloud asked.
func otherCloud(c cloud.Cloud, t Tenant) string {
	if !c.BuiltIn {
		return "" // a user's own cloud may answer with anybody's host names
	}
	lives := ""
	switch strings.ToLower(t.GraphHost) {
	case "graph.microsoft.com":
		lives = cloud.Global
	case "graph.microsoft.us":
		lives = cloud.USGov
	case "dod-graph.microsoft.us":
		lives = cloud.DoD
	case "microsoftgraph.chinacloudapi.cn":
		lives = cloud.China
	default:
		switch strings.ToLower(t.CloudInstance) {
		case "microsoftonline.com":
			lives = cloud.Global
		case "microsoftonline.us":
			lives = cloud.USGov
		case "partner.microsoftonline.cn", "chinacloudapi.cn":
			lives = cloud.China
		}
	}
	// The commercial login service answers for government tenants as well and
	// gives them away by their region only.
	switch strings.ToUpper(t.RegionSubScope) {
	case "DOD":
		lives = cloud.DoD
	case "DODCON":
		lives = cloud.USGov
	}
	if lives == c.Name {
		return ""
	}
	return lives
}
