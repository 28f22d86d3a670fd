package sim

import (
	"fmt"
	"net/http"
	"strconv"
)

// refusal is an error of Entra ID: its code, and what fills the text's gaps.
type refusal struct {
	code   int
	args   []any
	status int    // replaces the code's own HTTP status
	oauth  string // replaces the code's own OAuth error
}

// loginText is what Entra ID says and how: OAuth error, HTTP status, text.
//
// Source: learn.microsoft.com/entra/identity-platform/reference-error-codes;
// texts as administrators see and report them.
type loginText struct {
	oauth  string
	status int
	text   string
}

func loginTexts() map[int]loginText {
	const bad, unauthorized = http.StatusBadRequest, http.StatusUnauthorized
	const wrongTenant = " This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant."
	return map[int]loginText{
		50013:   {"invalid_client", unauthorized, "Assertion failed signature validation. [Reason - The provided signature value did not match the expected signature value., Thumbprint of key used by client: '%v', Found key 'Start=%v, End=%v', Please visit the Azure Portal, Graph Explorer or directly use MS Graph to see configured keys for app Id '%v'.]"},
		50027:   {"invalid_request", bad, "JWT token is invalid or malformed. %v"},
		50049:   {"invalid_instance", bad, "Unknown or invalid instance."},
		50059:   {"invalid_request", bad, "No tenant-identifying information found in either the request or implied by any provided credentials."},
		53003:   {"invalid_grant", bad, "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance."},
		65001:   {"invalid_grant", bad, "The user or administrator has not consented to use the application with ID '%v'. Send an interactive authorization request for this user and resource."},
		70003:   {"unsupported_grant_type", bad, "The app requested an unsupported grant type '%v'."},
		70011:   {"invalid_scope", bad, "The provided value for the input parameter 'scope' is not valid. The scope %v is not valid."},
		90002:   {"invalid_request", bad, "Tenant '%v' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant."},
		90033:   {"temporarily_unavailable", http.StatusServiceUnavailable, "A transient error has occurred. Please try again."},
		90038:   {"invalid_request", bad, "Tenant '%v' request is being redirected to the National Cloud '%v'. The current cloud instance '%v' does not federate with it."},
		90055:   {"temporarily_unavailable", http.StatusTooManyRequests, "The server has terminated the request because the tenant is sending too many requests. Wait a while and try again."},
		90100:   {"invalid_request", bad, "The parameter '%v' is empty or not valid."},
		500011:  {"invalid_resource", bad, "The resource principal named %v was not found in the tenant named %v. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant."},
		700016:  {"unauthorized_client", bad, "Application with identifier '%v' was not found in the directory '%v'." + wrongTenant},
		700021:  {"invalid_client", unauthorized, "Client assertion application identifier doesn't match 'client_id' parameter."},
		700022:  {"invalid_scope", bad, "The provided value for the input parameter 'scope' isn't valid because it contains more than one resource. %v"},
		700023:  {"invalid_client", unauthorized, "Client assertion audience claim does not match Realm issuer. Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials ."},
		700024:  {"invalid_client", unauthorized, "Client assertion is not within its valid time range. Current time: %v, assertion valid from %v, expiry time of assertion %v. Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials ."},
		700027:  {"invalid_client", unauthorized, "The certificate with identifier used to sign the client assertion is not registered on application. [Reason - %v Thumbprint of key used by client: '%v', %vPlease visit the Azure Portal, Graph Explorer or directly use MS Graph to see configured keys for app Id '%v'. Review the documentation at https://learn.microsoft.com/graph/deployments to determine the corresponding service endpoint and https://learn.microsoft.com/graph/api/application-get to build a query request URL.]"},
		900021:  {"invalid_request", bad, "Requested tenant identifier '%v' is not valid. Tenant identifiers may not be an empty GUID."},
		900023:  {"invalid_request", bad, "Specified tenant identifier '%v' is neither a valid DNS name, nor a valid external domain."},
		900144:  {"invalid_request", bad, "The request body must contain the following parameter: '%v'."},
		900561:  {"invalid_request", bad, "The endpoint only accepts POST requests. Received a %v request."},
		1002012: {"invalid_scope", bad, "The provided value for scope %v is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI)."},
		5002738: {"invalid_client", unauthorized, "Invalid JWT token. '%v' is not a supported signature algorithm. Supported signing algorithms are: 'RS256, RS384, RS512, PS256, PS384, PS512'."},
		7000112: {"unauthorized_client", bad, "Application '%v'(%v) is disabled."},
		7000215: {"invalid_client", unauthorized, "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '%v'."},
		7000216: {"invalid_client", unauthorized, "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type."},
		7000218: {"invalid_client", unauthorized, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."},
		7000222: {"invalid_client", unauthorized, "The provided client secret keys for app '%v' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds."},
		7000229: {"unauthorized_client", bad, "The client application %v is missing service principal in the tenant %v. See instructions here: https://go.microsoft.com/fwlink/?linkid=2225119"},
	}
}

type loginErrorBody struct {
	Error         string `json:"error"`
	Description   string `json:"error_description"`
	Codes         []int  `json:"error_codes"`
	Timestamp     string `json:"timestamp"`
	TraceID       string `json:"trace_id"`
	CorrelationID string `json:"correlation_id"`
	URI           string `json:"error_uri"`
	Suberror      string `json:"suberror,omitempty"`
}

// refuse writes the error as Entra ID does.
func (w *World) refuse(r *request, f refusal) *answer {
	known, ok := loginTexts()[f.code]
	if !ok {
		known = loginText{"invalid_request", http.StatusBadRequest, "The request was refused."}
	}
	text := known.text
	if len(f.args) > 0 {
		text = fmt.Sprintf(text, f.args...)
	}
	if f.status == 0 {
		f.status = known.status
	}
	if f.oauth == "" {
		f.oauth = known.oauth
	}
	stamp := w.now().UTC().Format("2006-01-02 15:04:05Z")
	code := strconv.Itoa(f.code)
	body := loginErrorBody{Error: f.oauth, Codes: []int{f.code}, Timestamp: stamp, TraceID: r.id, CorrelationID: r.correlation, URI: r.base + "/error?code=" + code,
		Description: "AADSTS" + code + ": " + text + "\r\nTrace ID: " + r.id + "\r\nCorrelation ID: " + r.correlation + "\r\nTimestamp: " + stamp}
	if f.code == 53003 {
		body.Suberror = "message_only"
	}
	return jsonAnswer(f.status, "application/json; charset=utf-8", body)
}
