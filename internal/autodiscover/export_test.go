package autodiscover

// The parsers, for fuzzing without the goroutines of a search: all texts of an answer.

func texts(a answer, err error) ([]string, error) {
	list := []string{a.internal, a.external, a.server, a.version, a.toURL, a.toAddress}
	if a.err != nil {
		list = append(list, a.err.Code, a.err.Message, a.err.Error())
	}
	return list, err
}

// ParsePOX reads plain XML.
func ParsePOX(body []byte) ([]string, error) { return texts(parsePOX(body)) }

// ParseSOAP reads SOAP.
func ParseSOAP(body []byte) ([]string, error) { return texts(parseSOAP(body)) }

// ParseJSON reads JSON.
func ParseJSON(body []byte) ([]string, error) { return texts(parseJSON(body)) }
