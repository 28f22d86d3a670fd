package sharepoint

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

const (
	usualRows = 10    // without rowlimit
	maxRows   = 500   // of one answer
	maxStart  = 50000 // of startrow
)

// contentClass matches the property restriction that finds site collections or sites.
var contentClass = regexp.MustCompile(`(?i)contentclass\s*[:=]\s*"?(STS_Site|STS_Web)\b"?`)

// query is what a search is asked for.
type query struct {
	text, selected string
	rows, start    int
	untrimmed      bool // duplicates, too
}

// queryOfURL reads a query of GET; what cannot be read comes back in quotes.
func queryOfURL(r *Request) (q query, wrong string) {
	given := r.URL.Query()
	if _, in, found := strings.Cut(r.rest, "("); found { // query(querytext='…',rowlimit=…)
		for part := range strings.SplitSeq(strings.TrimSuffix(in, ")"), ",") {
			key, value, _ := strings.Cut(part, "=")
			given.Set(strings.TrimSpace(key), value)
		}
	}
	argument := func(name string) string {
		for key, values := range given { // their names are known in any case
			if strings.EqualFold(key, name) {
				return values[0]
			}
		}
		return ""
	}
	expression := func(text string) string { return "The expression \"" + text + "\" is not valid." }
	var ok bool
	if q.text, ok = literal(argument("querytext")); !ok {
		return q, expression(argument("querytext"))
	}
	if q.rows, ok = number(argument("rowlimit"), usualRows); !ok {
		return q, expression(argument("rowlimit"))
	}
	if q.start, ok = number(argument("startrow"), 0); !ok {
		return q, expression(argument("startrow"))
	}
	q.selected, _ = literal(argument("selectproperties"))
	q.untrimmed = strings.EqualFold(argument("trimduplicates"), "false")
	return q, ""
}

// queryOfBody reads a query of POST: the same in JSON, where lists are lists, or in the
// verbose form results. Unsure: what is said of a body that cannot be read.
func queryOfBody(r *Request) (q query, wrong string) {
	var given struct {
		Request struct {
			QueryText, SelectProperties json.RawMessage
			RowLimit, StartRow          *int
			TrimDuplicates              *bool
		}
	}
	const unreadable = "Invalid JSON. A token was not recognized in the JSON content."
	if json.Unmarshal(r.Body, &given) != nil || json.Unmarshal(given.Request.QueryText, &q.text) != nil {
		return q, unreadable
	}
	var list []string
	var verbose struct{ Results []string }
	if p := given.Request.SelectProperties; p != nil && json.Unmarshal(p, &list) != nil && json.Unmarshal(p, &verbose) != nil {
		return q, unreadable
	}
	q.selected = strings.Join(append(list, verbose.Results...), ",")
	if q.rows = usualRows; given.Request.RowLimit != nil {
		q.rows = max(0, *given.Request.RowLimit)
	}
	if given.Request.StartRow != nil {
		q.start = max(0, *given.Request.StartRow)
	}
	q.untrimmed = given.Request.TrimDuplicates != nil && !*given.Request.TrimDuplicates
	return q, ""
}

// search is the search REST service: GET query and POST postquery. It finds site
// collections, and the sites at their top, and of them those that the user may read. Rows
// that look alike are taken for duplicates unless trimduplicates is false; every fifth
// site collection looks like the one before it.
//
// Source: learn.microsoft.com/sharepoint/dev/general-development/sharepoint-search-rest-api-overview
// and .../sharepoint/install/software-boundaries-limits for the limits. Unsure: what is
// said when the search service is missing, and beyond the last start row.
func (f *Farm) search(app *application, r *Request, as format, api string) *Answer {
	operation, read := "query", queryOfURL
	if !r.reading() {
		operation, read = "postquery", queryOfBody
	}
	q, wrong := read(r)
	if wrong != "" {
		return r.failure("search", as, http.StatusBadRequest, "-1, Microsoft.SharePoint.Client.InvalidClientQueryException", wrong)
	}
	if f.has("sp-no-search") || app == &f.central {
		return r.failure("search", as, http.StatusInternalServerError, "-1, System.InvalidOperationException", "The search request was unable to connect to the Search Service.")
	}
	if q.start > maxStart {
		return r.failure("search", as, http.StatusInternalServerError, "-1, Microsoft.Office.Server.Search.Query.InternalQueryErrorException", "The value of StartRow is too large.")
	}
	rows := min(q.rows, maxRows)
	found, duplicates := f.found(app, r, q.text, !q.untrimmed)
	from := min(q.start, len(found))
	if f.has("sp-search-stuck") {
		from = 0
	}
	page := found[from:min(from+rows, len(found))]
	cells := make([]any, 0, len(page))
	for i, hit := range page {
		cells = append(cells, object{"SP.SimpleDataRow", []property{{"Cells", list{"", f.cells(r, hit, from+i, q.selected)}}}})
	}
	pair := func(key, value, kind string) object {
		return object{"SP.KeyValue", []property{{"Key", key}, {"Value", value}, {"ValueType", kind}}}
	}
	zero := "00000000-0000-0000-0000-000000000000"
	relevant := object{"Microsoft.Office.Server.Search.REST.RelevantResults", []property{
		{"GroupTemplateId", nil}, {"ItemTemplateId", nil}, {"Properties", list{"", []any{pair("GenerationId", "9223372036854775806", "Edm.Int64")}}},
		{"ResultTitle", nil}, {"ResultTitleUrl", nil}, {"RowCount", len(page)}, {"Table", object{"SP.SimpleDataTable", []property{{"Rows", list{"", cells}}}}},
		{"TotalRows", len(found)}, {"TotalRowsIncludingDuplicates", len(found) + duplicates},
	}}
	primary := object{"Microsoft.Office.Server.Search.REST.QueryResult", []property{
		{"CustomResults", list{"Collection(Microsoft.Office.Server.Search.REST.CustomResult)", nil}}, {"QueryId", r.ID}, {"QueryRuleId", guid(zero)}, {"RefinementResults", nil}, {"RelevantResults", relevant}, {"SpecialTermResults", nil},
	}}
	return newAnswer(r.label("search"), http.StatusOK, as.contentType(false), as.result(api, operation, object{"Microsoft.Office.Server.Search.REST.SearchResult", []property{
		{"ElapsedTime", 41}, {"PrimaryQueryResult", primary}, {"Properties", list{"", []any{pair("RowLimit", strconv.Itoa(rows), "Edm.Int32"), pair("SourceId", "8413cd39-2156-4e00-b54d-11efd9430b0a", "Edm.Guid")}}},
		{"SecondaryQueryResults", list{"Collection(Microsoft.Office.Server.Search.REST.QueryResult)", nil}}, {"SpellingSuggestion", ""}, {"TriggeredRules", list{"Collection(Edm.Guid)", nil}},
	}}))
}

// literal is the text of a string literal of OData, in single quotes that are doubled
// within.
func literal(s string) (string, bool) {
	if len(s) < 2 || s[0] != '\'' || s[len(s)-1] != '\'' {
		return "", false
	}
	s = s[1 : len(s)-1]
	if strings.Contains(strings.ReplaceAll(s, "''", ""), "'") {
		return "", false
	}
	return strings.ReplaceAll(s, "''", "'"), true
}

// hit is a found site collection, or the site at its top.
type hit struct {
	*site
	class string
}

// found are all hits in the order of the index, and how many were left out as
// duplicates.
func (f *Farm) found(app *application, r *Request, text string, trim bool) (hits []hit, duplicates int) {
	if f.has("sp-search-empty") {
		return nil, 0
	}
	var classes []string
	for _, m := range contentClass.FindAllStringSubmatch(text, -1) {
		classes = append(classes, map[string]string{"sts_site": "STS_Site", "sts_web": "STS_Web"}[strings.ToLower(m[1])])
	}
	words := strings.ToLower(strings.Trim(contentClass.ReplaceAllString(text, ""), " ()*"))
	if classes == nil {
		classes = []string{"STS_Site", "STS_Web"}
	}
	for i, s := range f.listed(app) {
		if !f.may(r, s) || words != "" && words != "or" && !strings.Contains(strings.ToLower(s.title), words) {
			continue
		}
		if trim && i%5 == 4 {
			duplicates += len(classes)
			continue
		}
		for _, class := range classes {
			hits = append(hits, hit{s, class})
		}
	}
	return hits, duplicates
}

// cells are the columns of a row: those that were asked for, and some that always come.
func (f *Farm) cells(r *Request, h hit, rank int, selected string) []any {
	cell := func(key string, value any, kind string) any {
		return object{"SP.KeyValue", []property{{"Key", key}, {"Value", value}, {"ValueType", kind}}}
	}
	address := f.url(r, h.site)
	known := map[string]string{
		"title": h.title, "path": address, "spsiteurl": address, "spweburl": address, "sitename": address, "contentclass": h.class, "siteid": h.id, "webid": h.web,
		"originalpath": address, "description": "", "author": "System Account", "webtemplate": h.template, "sitetitle": h.title, "parentlink": parent(address), "url": address,
	}
	out := []any{cell("Rank", "15.5", "Edm.Double"), cell("DocId", quoted(17592186000000+rank), "Edm.Int64")}
	if selected == "" {
		selected = "WorkId,Title,Author,Path,Description,SiteName,ContentClass,SPWebUrl,WebTemplate,OriginalPath"
	}
	for want := range strings.SplitSeq(selected, ",") {
		if want = strings.TrimSpace(want); want == "" {
			continue
		}
		var value any // null, for what there is no such managed property of
		if v, ok := known[strings.ToLower(want)]; ok {
			value = v
		}
		kind := "Edm.String"
		if value == nil {
			kind = "Null"
		}
		out = append(out, cell(want, value, kind))
	}
	return append(out, cell("PartitionId", "0c37852b-34d0-418e-91c6-2ac25af4be5b", "Edm.Guid"), cell("UrlZone", "0", "Edm.Int32"), cell("Culture", "en-US", "Edm.String"), cell("ResultTypeId", "0", "Edm.Int32"), cell("RenderTemplateId", "~sitecollection/_catalogs/masterpage/Display Templates/Search/Item_Default.js", "Edm.String"))
}

func parent(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
