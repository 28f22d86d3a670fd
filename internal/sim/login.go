package sim

import (
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // key ids of the JWKS are SHA-1 thumbprints
	"encoding/base64"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// login is Entra ID: metadata, keys, instance discovery, the token endpoint and
// the pages where people sign in.
func (w *World) login(r *request) *answer {
	a := w.loginRoute(r)
	h := a.header
	h.Set("Cache-Control", "no-store, no-cache")
	h.Set("Pragma", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	h.Set("x-ms-request-id", r.id)
	h.Set("x-ms-ests-server", "2.1.0 - SIM ProdSlices")
	if r.Header.Get("client-request-id") != "" && !strings.EqualFold(r.Header.Get("return-client-request-id"), "false") {
		h.Set("client-request-id", r.correlation)
	}
	return a
}

func (w *World) loginRoute(r *request) *answer {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	tenant := parts[0]
	rest := strings.ToLower(strings.Join(parts[1:], "/"))
	get := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case rest == "discovery/instance" && get:
		return named("login instance discovery", w.instances(r))
	case rest == "v2.0/.well-known/openid-configuration" && get:
		return named("login metadata v2", w.metadata(r, tenant, true))
	case rest == ".well-known/openid-configuration" && get:
		return named("login metadata v1", w.metadata(r, tenant, false))
	case (rest == "discovery/v2.0/keys" || rest == "discovery/keys") && get:
		return named("login keys", w.jwks(r))
	case rest == "oauth2/v2.0/token" || rest == "oauth2/token":
		if r.Method != http.MethodPost {
			return named("login token", w.refuse(r, refusal{code: 900561, args: []any{r.Method}}))
		}
		return named("login token", w.token(r, tenant, rest == "oauth2/v2.0/token"))
	case rest == "oauth2/v2.0/authorize" || rest == "oauth2/authorize":
		return named("login authorize", w.authorize(r, tenant, rest == "oauth2/v2.0/authorize"))
	case rest == "oauth2/v2.0/devicecode" || rest == "oauth2/devicecode":
		if r.Method != http.MethodPost {
			return named("login device code", w.refuse(r, refusal{code: 900561, args: []any{r.Method}}))
		}
		return named("login device code", w.deviceCode(r, tenant, rest == "oauth2/v2.0/devicecode"))
	case rest == "oauth2/deviceauth" && get:
		return named("login device page", w.devicePage(""))
	case rest == "oauth2/deviceauth" && r.Method == http.MethodPost:
		return named("login device page", w.enterDevice(r))
	case (rest == "adminconsent" || rest == "v2.0/adminconsent") && get:
		return named("login admin consent", w.adminConsent(r, tenant, rest == "v2.0/adminconsent"))
	case rest == "login" && r.Method == http.MethodPost:
		return named("login page", w.step(r))
	case (rest == "oauth2/v2.0/logout" || rest == "oauth2/logout") && get:
		return named("login sign-out", w.signOut())
	default:
		return named("login unknown", newAnswer(http.StatusNotFound, "", nil))
	}
}

func named(name string, a *answer) *answer {
	if a.name == "" {
		a.name = name
	}
	return a
}

// tenantOf resolves a tenant segment: the tenant's id or one of its verified
// domains. The names for any tenant resolve to "".
func (w *World) tenantOf(segment string) (id string, shared bool, fail *refusal) {
	if w.faults.get("tenant-not-found") != nil {
		return "", false, &refusal{code: 90002, args: []any{segment}}
	}
	if w.faults.get("wrong-cloud") != nil {
		return "", false, &refusal{code: 90038, args: []any{segment, "MicrosoftOnline.US", "microsoftonline.com"}}
	}
	switch lower := strings.ToLower(segment); {
	case lower == "common" || lower == "organizations" || lower == "consumers":
		return "", true, nil
	case lower == strings.ToLower(w.dir.organization.ID), w.dir.hasDomain(lower):
		return w.dir.organization.ID, false, nil
	case w.faults.get("multi-tenant") != nil && (lower == w.OtherTenantID() || lower == OtherTenantDomain):
		return w.OtherTenantID(), false, nil
	case lower == "00000000-0000-0000-0000-000000000000":
		return "", false, &refusal{code: 900021, args: []any{segment}}
	case isGUID(lower), isDomainName(lower):
		return "", false, &refusal{code: 90002, args: []any{segment}}
	default:
		return "", false, &refusal{code: 900023, args: []any{segment}}
	}
}

// isDomainName reports whether s is a DNS name of at least two labels.
func isDomainName(s string) bool {
	labels := strings.Split(s, ".")
	if len(labels) < 2 || len(s) > 253 {
		return false
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
			return false
		}
		for _, c := range l {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
				return false
			}
		}
	}
	return true
}

type metadata struct {
	TokenEndpoint       string   `json:"token_endpoint"`
	AuthMethods         []string `json:"token_endpoint_auth_methods_supported"`
	JWKS                string   `json:"jwks_uri"`
	ResponseModes       []string `json:"response_modes_supported"`
	SubjectTypes        []string `json:"subject_types_supported"`
	SigningAlgs         []string `json:"id_token_signing_alg_values_supported"`
	ResponseTypes       []string `json:"response_types_supported"`
	Scopes              []string `json:"scopes_supported,omitempty"`
	Issuer              string   `json:"issuer"`
	RequestURI          bool     `json:"request_uri_parameter_supported"`
	UserInfo            string   `json:"userinfo_endpoint"`
	Authorize           string   `json:"authorization_endpoint"`
	DeviceAuthorization string   `json:"device_authorization_endpoint"`
	HTTPLogout          bool     `json:"http_logout_supported"`
	FrontchannelLogout  bool     `json:"frontchannel_logout_supported"`
	EndSession          string   `json:"end_session_endpoint"`
	Claims              []string `json:"claims_supported"`
	Kerberos            string   `json:"kerberos_endpoint,omitempty"`
	RegionScope         *string  `json:"tenant_region_scope"`
	RegionSubScope      string   `json:"tenant_region_sub_scope,omitempty"`
	CloudInstance       string   `json:"cloud_instance_name"`
	CloudGraphHost      string   `json:"cloud_graph_host_name"`
	GraphHost           string   `json:"msgraph_host"`
	RBAC                string   `json:"rbac_url"`
}

// metadata is the OpenID configuration. The endpoints carry the tenant's id,
// whatever name it was asked by, and the host name that the client used.
func (w *World) metadata(r *request, segment string, v2 bool) *answer {
	id, shared, fail := w.tenantOf(segment)
	if fail != nil {
		if fail.code == 90002 {
			fail.oauth = "invalid_tenant" // the metadata's word; the token endpoint says invalid_request
		}
		return w.refuse(r, *fail)
	}
	inPath, inIssuer := id, id
	if shared {
		inPath, inIssuer = strings.ToLower(segment), "{tenantid}"
	}
	root := r.base + "/" + inPath
	issuerBase := r.base
	if w.faults.get("issuer-mismatch") != nil {
		issuerBase = "https://login.example.invalid"
	}
	where := r.site
	graph := where.graph
	if where.name == "" {
		where = sites()[0]
		graph = strings.TrimPrefix(w.GraphURL(), "https://")
	}
	m := metadata{
		AuthMethods:   []string{"client_secret_post", "private_key_jwt", "client_secret_basic"},
		ResponseModes: []string{"query", "fragment", "form_post"}, SubjectTypes: []string{"pairwise"}, SigningAlgs: []string{"RS256"},
		ResponseTypes: []string{"code", "id_token", "code id_token", "id_token token"},
		HTTPLogout:    true, FrontchannelLogout: true,
		Claims:         []string{"sub", "iss", "cloud_instance_name", "cloud_instance_host_name", "cloud_graph_host_name", "msgraph_host", "aud", "exp", "iat", "auth_time", "acr", "nonce", "preferred_username", "name", "tid", "ver", "at_hash", "c_hash", "email"},
		RegionSubScope: where.subRegion, CloudInstance: where.instance, CloudGraphHost: "graph.windows.net", GraphHost: graph, RBAC: "https://pas.windows.net",
		UserInfo: "https://" + graph + "/oidc/userinfo",
	}
	if !shared {
		m.RegionScope = &where.region
	}
	if v2 {
		m.Scopes = []string{"openid", "profile", "email", "offline_access"}
		m.Issuer = issuerBase + "/" + inIssuer + "/v2.0"
		m.TokenEndpoint, m.Authorize = root+"/oauth2/v2.0/token", root+"/oauth2/v2.0/authorize"
		m.DeviceAuthorization, m.EndSession = root+"/oauth2/v2.0/devicecode", root+"/oauth2/v2.0/logout"
		m.JWKS, m.Kerberos = root+"/discovery/v2.0/keys", root+"/kerberos"
	} else {
		m.Issuer = "https://sts.windows.net/" + inIssuer + "/"
		if issuerBase != r.base {
			m.Issuer = issuerBase + "/" + inIssuer + "/"
		}
		m.TokenEndpoint, m.Authorize = root+"/oauth2/token", root+"/oauth2/authorize"
		m.DeviceAuthorization, m.EndSession = root+"/oauth2/devicecode", root+"/oauth2/logout"
		m.JWKS = r.base + "/common/discovery/keys"
	}
	a := jsonAnswer(http.StatusOK, "application/json; charset=utf-8", m)
	a.header.Set("Access-Control-Allow-Origin", "*")
	return a
}

type instanceMetadata struct {
	PreferredNetwork string   `json:"preferred_network"`
	PreferredCache   string   `json:"preferred_cache"`
	Aliases          []string `json:"aliases"`
}

// instances answers which hosts belong together. A host nobody knows is refused,
// as by Entra ID; the simulation's own name is known to itself only.
func (w *World) instances(r *request) *answer {
	endpoint, err := url.Parse(r.URL.Query().Get("authorization_endpoint"))
	if err != nil || endpoint.Scheme != "https" || endpoint.Host == "" {
		return w.refuse(r, refusal{code: 50049})
	}
	known, _, ok := serviceOfHost(endpoint.Host)
	own := endpoint.Host == r.Host || "https://"+endpoint.Host == w.LoginURL()
	if !own && (!ok || known != serviceLogin) {
		return w.refuse(r, refusal{code: 50049})
	}
	tenant, _, _ := strings.Cut(strings.TrimPrefix(endpoint.Path, "/"), "/")
	if tenant == "" {
		tenant = "common"
	}
	out := struct {
		Discovery string             `json:"tenant_discovery_endpoint"`
		Version   string             `json:"api-version"`
		Metadata  []instanceMetadata `json:"metadata"`
	}{Discovery: "https://" + endpoint.Host + "/" + tenant + "/v2.0/.well-known/openid-configuration", Version: "1.1"}
	for _, s := range sites() {
		if len(s.login) > 0 {
			cache := s.login[min(1, len(s.login)-1)]
			out.Metadata = append(out.Metadata, instanceMetadata{s.login[0], cache, slices.Clone(s.login)})
		}
	}
	if own && !ok {
		out.Metadata = append(out.Metadata, instanceMetadata{endpoint.Host, endpoint.Host, []string{endpoint.Host}})
	}
	return jsonAnswer(http.StatusOK, "application/json; charset=utf-8", out)
}

type jwk struct {
	Kty string `json:"kty"`
	Use string `json:"use"`
	Kid string `json:"kid"`
	X5t string `json:"x5t"`
	N   string `json:"n"`
	E   string `json:"e"`
}

func (w *World) jwks(r *request) *answer {
	key, err := w.keys.signing()
	if err != nil {
		return w.refuse(r, refusal{code: 90033, status: http.StatusServiceUnavailable})
	}
	id := keyID(&key.PublicKey)
	set := map[string][]jwk{"keys": {{Kty: "RSA", Use: "sig", Kid: id, X5t: id, N: base64.RawURLEncoding.EncodeToString(key.N.Bytes()),
		E: base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes())}}}
	return jsonAnswer(http.StatusOK, "application/json; charset=utf-8", set)
}

func keyID(key *rsa.PublicKey) string {
	sum := sha1.Sum(key.N.Bytes()) //nolint:gosec // an id, not a proof
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
