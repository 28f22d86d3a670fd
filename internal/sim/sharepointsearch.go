package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Bounds of a search.
//
// Source: learn.microsoft.com/sharepoint/dev/general-development/customizing-search-results-in-sharepoint
// (500 rows) and learn.microsoft.com/sharepoint/dev/general-development/pagination-for-large-result-sets (50,000).
const (
	defaultRows = 10
	largestRows = 500
	lastRow     = 50_000
)

// searchQuery is what a search asks for.
type searchQuery struct {
	clauses    []clause
	rows       int
	start      int
	properties []string
}

func newSearch() searchQuery {
	return searchQuery{rows: defaultRows, properties: []string{"Title", "Author", "Path", "contentclass", "SiteId", "WebId", "SiteName", "WebTemplate"}}
}

// set reads one parameter, whose name is in lower case. What changes only the
// ranking is read over: rows come by DocId.
func (q *searchQuery) set(name, value string) (err error) {
	switch name {
	case "querytext":
		if strings.TrimSpace(value) != "" {
			q.clauses, err = parseKQL(value)
		}
	case "selectproperties":
		q.properties = nil
		for property := range strings.SplitSeq(value, ",") {
			q.properties = append(q.properties, strings.TrimSpace(property))
		}
	case "rowlimit", "startrow":
		n, numErr := strconv.Atoi(value)
		switch {
		case numErr != nil || n < 0 || n > lastRow && name == "startrow":
			return fmt.Errorf("%w: %s is out of range", errSearch, name)
		case name == "startrow":
			q.start = n
		default:
			q.rows = min(n, largestRows)
		}
	case "trimduplicates":
		if _, boolErr := strconv.ParseBool(value); boolErr != nil {
			return fmt.Errorf("%w: trimduplicates is no truth value", errSearch)
		}
	}
	return err
}

func (q *searchQuery) complete() (searchQuery, error) {
	if len(q.clauses) == 0 {
		return *q, fmt.Errorf("%w: querytext is missing", errSearch)
	}
	return *q, nil
}

// parseSearch reads the parameters of a search: names in any case, texts in single
// quotes.
func parseSearch(raw string) (searchQuery, error) {
	q := newSearch()
	values, err := url.ParseQuery(raw)
	if err != nil {
		return q, fmt.Errorf("%w: %w", errSearch, err)
	}
	for name, list := range values {
		name = strings.ToLower(name)
		value, isText := quoted(list[0])
		if !isText && (name == "querytext" || name == "selectproperties") {
			return q, fmt.Errorf("%w: %s must be a text in single quotes", errSearch, name)
		} else if !isText {
			value = list[0]
		}
		if err := q.set(name, value); err != nil {
			return q, err
		}
	}
	return q.complete()
}

// quoted takes the single quotes off; doubled ones stand for one.
func quoted(s string) (string, bool) {
	if len(s) < 2 || s[0] != '\'' || s[len(s)-1] != '\'' {
		return "", false
	}
	return strings.ReplaceAll(s[1:len(s)-1], "''", "'"), true
}

// parsePostQuery reads the same from a body, where lists are JSON's; in the
// verbose form they are called results.
//
// Source: learn.microsoft.com/sharepoint/dev/general-development/sharepoint-search-rest-api-overview.
func parsePostQuery(body []byte) (searchQuery, error) {
	q := newSearch()
	var asked struct{ Request map[string]json.RawMessage }
	if json.Unmarshal(body, &asked) != nil {
		return q, fmt.Errorf("%w: it is no JSON object", errSearch)
	}
	for name, raw := range asked.Request {
		var list []string
		var verbose struct{ Results []string }
		var value string
		isText := json.Unmarshal(raw, &value) == nil
		switch name = strings.ToLower(name); {
		case name == "selectproperties" && (json.Unmarshal(raw, &list) == nil || json.Unmarshal(raw, &verbose) == nil):
			if list = append(list, verbose.Results...); len(list) == 0 {
				continue // which means the usual ones
			}
			value = strings.Join(list, ",")
		case name == "querytext" && !isText, name == "selectproperties":
			return q, fmt.Errorf("%w: the type of %s is wrong", errSearch, name)
		case !isText:
			value = string(bytes.TrimSpace(raw)) // a number, a truth value
		}
		if err := q.set(name, value); err != nil {
			return q, err
		}
	}
	return q.complete()
}

// found tells the properties of a site in the index.
func (q spRequest) found(s *siteCollection, rank int) indexed {
	return func(property string) (string, bool) {
		switch property {
		case "title":
			return s.title, true
		case "path", "spsiteurl", "sitename":
			return q.world.siteURL(s, q.host.suffix), true
		case "contentclass":
			return "STS_Site", true
		case "siteid":
			return s.id, true
		case "webid":
			return s.webID, true
		case "author":
			return s.owner, true
		case "webtemplate":
			template, _, _ := strings.Cut(s.template, "#")
			return template, true
		case "docid", indexDocID:
			return strconv.Itoa(17_592_186_000_000 + rank), true
		case "rank":
			return strconv.FormatFloat(20-float64(rank)/1000, 'f', 6, 64), true
		}
		return "", false
	}
}

// search answers /_api/search/query and /_api/search/postquery. The index holds
// what may be read: no site that is locked or archived, and no other geography.
//
// Source: learn.microsoft.com/sharepoint/dev/general-development/sharepoint-search-rest-api-overview.
func (w *World) search(q spRequest) *answer {
	name := strings.TrimPrefix(q.inner, "search/")
	asked, err := parseSearch(q.URL.RawQuery)
	if name == "postquery" {
		asked, err = parsePostQuery(q.body)
	}
	if err != nil {
		return q.refuse(http.StatusBadRequest, codeSearch, err.Error())
	}
	list, _ := w.siteCollections()
	// Every row begins with these two, whatever was asked for.
	properties := append([]string{"Rank", "DocId"}, slices.DeleteFunc(asked.properties, func(p string) bool { return strings.EqualFold(p, "Rank") || strings.EqualFold(p, "DocId") })...)
	total := 0
	rows := spList{kind: "SP.SimpleDataRow"}
	for i, s := range list {
		if s.geo != q.host.geo || s.lock == siteNoAccess || s.archived {
			continue
		}
		of := q.found(s, i)
		if slices.ContainsFunc(asked.clauses, func(c clause) bool { return !c.holds(of) }) {
			continue
		}
		if total++; total <= asked.start || len(rows.items) == asked.rows {
			continue
		}
		cells := spList{kind: "SP.KeyValue", items: make([]any, 0, len(properties))}
		for _, property := range properties {
			cells.items = append(cells.items, cell(property, of))
		}
		rows.items = append(rows.items, spObject{kind: "SP.SimpleDataRow", props: []spProp{{"Cells", cells}}})
	}
	relevant := spObject{kind: "Microsoft.Office.Server.Search.REST.RelevantResults", props: []spProp{
		{"GroupTemplateId", nil}, {"ItemTemplateId", nil}, {"Properties", spList{kind: "SP.KeyValue"}}, {"ResultTitle", nil}, {"ResultTitleUrl", nil}, {"RowCount", len(rows.items)},
		{"Table", spObject{kind: "SP.SimpleDataTable", props: []spProp{{"Rows", rows}}}}, {"TotalRows", total}, {"TotalRowsIncludingDuplicates", total}}}
	primary := spObject{kind: "Microsoft.Office.Server.Search.REST.QueryResult", props: []spProp{
		{"CustomResults", spList{kind: "Microsoft.Office.Server.Search.REST.CustomResult"}}, {"QueryId", q.id}, {"QueryRuleId", spGUID("00000000-0000-0000-0000-000000000000")},
		{"RefinementResults", nil}, {"RelevantResults", relevant}, {"SpecialTermResults", nil}}}
	return q.give(spObject{kind: "Microsoft.Office.Server.Search.REST.SearchResult", name: name, set: "Microsoft.Office.Server.Search.REST.SearchResult", props: []spProp{
		{"ElapsedTime", 12}, {"PrimaryQueryResult", primary}, {"Properties", spList{kind: "SP.KeyValue"}},
		{"SecondaryQueryResults", spList{kind: "Microsoft.Office.Server.Search.REST.QueryResult"}}, {"SpellingSuggestion", ""}, {"TriggeredRules", spList{kind: "Edm.Guid"}}}})
}

// cell is one property of a row; unknown ones are null.
func cell(property string, of indexed) spObject {
	name := strings.ToLower(property)
	value, kind := any(nil), "Null"
	if text, ok := of(name); ok {
		value, kind = text, "Edm.String"
		switch name {
		case "rank":
			kind = "Edm.Double"
		case "docid":
			kind = "Edm.Int64"
		}
	}
	return spObject{kind: "SP.KeyValue", props: []spProp{{"Key", property}, {"Value", value}, {"ValueType", kind}}}
}
