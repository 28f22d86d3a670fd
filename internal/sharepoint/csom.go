package sharepoint

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/c2conn/c2conn/internal/transport"
)

// TenantInfo is what the admin centre says about the tenant's site collections,
// on the first page of its list.
type TenantInfo struct {
	Sites int  // on this page; OneDrives do not count
	More  bool // there are further pages
}

// firstPage asks the admin centre's Tenant object for the first page of site
// collections without OneDrives.
//
// Source: [MS-CSOM]; the ids of the types as in pnp/cli-microsoft365, site-list.ts.
const firstPage = `<Request AddExpandoFieldTypeSuffix="true" SchemaVersion="15.0.0.0" LibraryVersion="16.0.0.0" ApplicationName="c2conn" xmlns="http://schemas.microsoft.com/sharepoint/clientquery/2009">` +
	`<Actions><ObjectPath Id="2" ObjectPathId="1"/><ObjectPath Id="4" ObjectPathId="3"/>` +
	`<Query Id="5" ObjectPathId="3"><Query SelectAllProperties="true"><Properties/></Query><ChildItemQuery SelectAllProperties="true"><Properties/></ChildItemQuery></Query></Actions>` +
	`<ObjectPaths><Constructor Id="1" TypeId="{268004ae-ef6b-4e9b-8425-127220d84719}"/>` +
	`<Method Id="3" ParentId="1" Name="GetSitePropertiesFromSharePointByFilters"><Parameters><Parameter TypeId="{b92aeee2-c92c-4b67-abcc-024e471bc140}">` +
	`<Property Name="Filter" Type="String"/><Property Name="IncludeDetail" Type="Boolean">false</Property><Property Name="IncludePersonalSite" Type="Enum">0</Property>` +
	`<Property Name="StartIndex" Type="String">0</Property><Property Name="Template" Type="String"/>` +
	`</Parameter></Parameters></Method></ObjectPaths></Request>`

// Tenant asks the admin centre, whose address the Client must have, for the first
// page of site collections: who gets it may administer them. It changes nothing.
// It needs Sites.FullControl.All of SharePoint, and a sign-in by certificate.
//
// Errors: *Error, and the error of Options.Token.
func (c *Client) Tenant(ctx context.Context) (TenantInfo, error) {
	digest, err := c.digest(ctx)
	if err != nil {
		return TenantInfo{}, err
	}
	header := map[string]string{"Content-Type": "text/xml", "X-RequestDigest": digest}
	a, err := c.send(ctx, "list sites in the admin centre", http.MethodPost, c.base.JoinPath("_vti_bin", "client.svc", "ProcessQuery"), header, []byte(firstPage))
	if err != nil {
		return TenantInfo{}, err
	}
	info, refusal, ok := readQuery(a.body)
	switch {
	case !ok:
		return TenantInfo{}, a.unreadable()
	case refusal != nil:
		a.err.Code, a.err.Message = refusal.code(), refusal.Message.Clean(1000)
		if a.err.RequestID == "" {
			a.err.RequestID = refusal.Trace.Clean(64)
		}
		return TenantInfo{}, &a.err
	}
	return info, nil
}

// digest asks for the proof that CSOM wants with each request.
//
// Source: learn.microsoft.com/sharepoint/dev/sp-add-ins/complete-basic-operations-using-sharepoint-rest-endpoints,
// "FormDigestValue".
func (c *Client) digest(ctx context.Context) (string, error) {
	a, err := c.send(ctx, "open the admin centre", http.MethodPost, c.base.JoinPath("_api", "contextinfo"), nil, nil)
	if err != nil {
		return "", err
	}
	var j struct {
		Digest Text `json:"FormDigestValue"`
	}
	d := ""
	if json.Unmarshal(a.body, &j) == nil {
		d = string(j.Digest)
	}
	if d == "" || len(d) > 4096 || d != transport.CleanText(d, 4096) { // it becomes a header
		return "", a.unreadable()
	}
	return d, nil
}

// errorInfo is how CSOM refuses, with status 200.
type errorInfo struct {
	Message  Text            `json:"ErrorMessage"`
	Trace    Text            `json:"TraceCorrelationId"`
	Number   json.RawMessage `json:"ErrorCode"`
	TypeName Text            `json:"ErrorTypeName"`
}

// code writes the error as REST does: "-2147024891, System.UnauthorizedAccessException".
func (i *errorInfo) code() string {
	number := ""
	if len(i.Number) > 0 && i.Number[0] != '{' && i.Number[0] != '[' {
		number = string(bytes.Trim(i.Number, `"`))
	}
	return transport.CleanText(strings.Trim(fmt.Sprintf("%s, %s", number, i.TypeName), ", "), 200)
}

// readQuery reads the answer of ProcessQuery: a list whose first element says how
// it went, and one of whose others holds the sites. ok is false when it is none.
func readQuery(body []byte) (info TenantInfo, refusal *errorInfo, ok bool) {
	var list []json.RawMessage
	if json.Unmarshal(body, &list) != nil || len(list) == 0 {
		return info, nil, false
	}
	var head struct {
		Library Text       `json:"LibraryVersion"`
		Error   *errorInfo `json:"ErrorInfo"`
	}
	if json.Unmarshal(list[0], &head) != nil || head.Error == nil && head.Library == "" {
		return info, nil, false
	}
	if head.Error != nil {
		return info, head.Error, true
	}
	for _, element := range list[1:] {
		var page struct {
			Sites []struct{} `json:"_Child_Items_"`
			Next  index      `json:"NextStartIndexFromSharePoint"`
		}
		// The others are the numbers of the actions, and small objects.
		if json.Unmarshal(element, &page) == nil && page.Sites != nil {
			return TenantInfo{Sites: len(page.Sites), More: bool(page.Next)}, nil, true
		}
	}
	return info, nil, false
}

// index says whether a list goes on: nothing, an empty text and -1, which comes
// as a text or a number, mean no.
type index bool

// UnmarshalJSON never fails.
func (i *index) UnmarshalJSON(b []byte) error {
	s := strings.Trim(string(b), `"`)
	*i = s != "" && s != "null" && s != "-1"
	return nil
}
