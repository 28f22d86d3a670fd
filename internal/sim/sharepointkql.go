package sim

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const longestQuery = 4096

var errSearch = errors.New("the search query cannot be read")

// clause is one part of the query text; one of its terms must hold.
type clause struct {
	not   bool
	terms []term
}

// term is PROPERTY:VALUE, a comparison of a number or, with no property, a word.
type term struct {
	property, value string // in lower case
	op              string // <, <=, > or >=; empty: equal
	number          int64  // the value of a comparison
}

// indexDocID is the one number that the query text may compare: by it clients go
// through results that are too many for start rows.
//
// Source: learn.microsoft.com/sharepoint/dev/general-development/pagination-for-large-result-sets.
const indexDocID = "indexdocid"

// parseKQL reads the part of the Keyword Query Language that finds sites: words,
// property restrictions, OR, NOT and the minus sign. Restrictions of the same
// property are alternatives, all else must hold.
//
// Source: learn.microsoft.com/sharepoint/dev/general-development/keyword-query-language-kql-syntax-reference.
func parseKQL(text string) ([]clause, error) {
	if len(text) > longestQuery {
		return nil, fmt.Errorf("%w: it is longer than %d characters", errSearch, longestQuery)
	}
	words, err := kqlWords(text)
	if err != nil {
		return nil, err
	}
	var list []clause
	or, not := false, false
	for _, word := range words {
		switch word {
		case "OR":
			or = true
			continue
		case "AND":
			continue
		case "NOT":
			not = true
			continue
		}
		if rest, minus := strings.CutPrefix(word, "-"); minus {
			word, not = rest, true
		}
		t, err := parseTerm(word)
		if err != nil {
			return nil, err
		}
		last := len(list) - 1
		same := last >= 0 && t.property != "" && t.op == "" && list[last].terms[0].op == "" && list[last].terms[0].property == t.property
		if last >= 0 && !not && !list[last].not && (or || same) {
			list[last].terms = append(list[last].terms, t)
		} else {
			list = append(list, clause{not, []term{t}})
		}
		or, not = false, false
	}
	if len(list) == 0 || or || not {
		return nil, fmt.Errorf("%w: the query is malformed", errSearch)
	}
	return list, nil
}

func parseTerm(word string) (term, error) {
	t := term{value: word}
	if at := strings.IndexAny(word, ":=<>"); at > 0 {
		t.property, t.value = strings.ToLower(word[:at]), word[at+1:]
		if word[at] == '<' || word[at] == '>' {
			t.op = word[at : at+1]
		}
		if rest, equal := strings.CutPrefix(t.value, "="); equal {
			t.value = rest
			if t.op != "" {
				t.op += "="
			}
		}
	}
	t.value = strings.ToLower(strings.ReplaceAll(t.value, `"`, ""))
	if t.op == "" {
		return t, nil
	}
	if t.property != indexDocID {
		return t, fmt.Errorf("%w: %s cannot be compared", errSearch, t.property)
	}
	var err error
	if t.number, err = strconv.ParseInt(t.value, 10, 64); err != nil {
		return t, fmt.Errorf("%w: %q is no number", errSearch, t.value)
	}
	return t, nil
}

// kqlWords splits at white space outside of double quotes and drops parentheses.
func kqlWords(text string) ([]string, error) {
	var words []string
	word, inside, depth := "", false, 0
	for _, c := range text + " " {
		switch {
		case c == '"':
			inside = !inside
			word += `"`
		case !inside && (c == '(' || c == ')'):
			if depth++; c == ')' {
				depth -= 2
			}
			if depth < 0 {
				return nil, fmt.Errorf("%w: the parentheses do not match", errSearch)
			}
		case !inside && (c == ' ' || c == '\t' || c == '\n' || c == '\r'):
			if word != "" {
				words = append(words, word)
			}
			word = ""
		default:
			word += string(c)
		}
	}
	if inside || depth != 0 {
		return nil, fmt.Errorf("%w: quotes or parentheses do not match", errSearch)
	}
	return words, nil
}

// indexed tells the properties of something in the index, by names in lower case.
type indexed func(property string) (value string, ok bool)

// holds reports whether something in the index fulfils a clause. Values may end in
// an asterisk.
func (c clause) holds(of indexed) bool {
	return c.not != slices.ContainsFunc(c.terms, func(t term) bool { return t.holds(of) })
}

func (t term) holds(of indexed) bool {
	have, _ := of(cmp.Or(t.property, "title"))
	value, wild := strings.CutSuffix(t.value, "*")
	switch {
	case t.op != "":
		n, err := strconv.ParseInt(have, 10, 64)
		more := strings.HasPrefix(t.op, ">") && n > t.number
		less := strings.HasPrefix(t.op, "<") && n < t.number
		return err == nil && (more || less || strings.HasSuffix(t.op, "=") && n == t.number)
	case t.property == "": // a word
		return strings.Contains(strings.ToLower(have), value)
	case t.property == "path": // a path finds what is beneath it
		have, value = strings.ToLower(have), strings.TrimSuffix(value, "/")
		return have == value || strings.HasPrefix(have, value+"/")
	}
	return strings.EqualFold(have, value) || wild && strings.HasPrefix(strings.ToLower(have), value)
}
