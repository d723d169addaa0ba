package bedrocktest

import (
	"cmp"
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// The families that compute: embeddings and reranking. No script is needed for
// them and none is used up: vectors are made from the text's words and
// characters, so that texts which share them are near each other.

// A computer is a family whose answers are computed from the request.
type computer interface {
	compute(req *Request) (body []byte, inputTokens int64)
}

// noModel are the parts of a family that an embedding has no use for.
type noModel struct{}

func (noModel) body(*answer) []byte    { return nil }
func (noModel) frames(*answer) []Frame { return nil }

// embed is a vector of length 1, or zeros for a text without letters.
func embed(text string, dimensions int) []float64 {
	v := make([]float64, dimensions)
	add := func(feature string, weight float64) {
		d := digest(feature)
		if d&1 == 0 {
			weight = -weight
		}
		v[(d>>1)%uint64(dimensions)] += weight
	}
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for _, w := range words {
		add("word "+w, 1)
		runes := []rune(w)
		for n := 2; n <= 3; n++ {
			for i := 0; i+n <= len(runes); i++ {
				add("part "+string(runes[i:i+n]), 0.5)
			}
		}
	}
	var sum float64
	for _, x := range v {
		sum += x * x
	}
	if sum > 0 {
		for i := range v {
			// Seven digits, as the service gives.
			v[i] = math.Round(v[i]/math.Sqrt(sum)*1e7) / 1e7
		}
	}
	return v
}

func cosine(a, b []float64) float64 {
	var sum float64
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

// signs is a vector's binary form: 1 for what is positive.
func signs(v []float64) []int {
	bits := make([]int, len(v))
	for i, x := range v {
		if x > 0 {
			bits[i] = 1
		}
	}
	return bits
}

func computeBody(body []byte, inputTokens int64) *Reply {
	return Body(http.StatusOK, "application/json", body).
		Header("X-Amzn-Bedrock-Input-Token-Count", strconv.FormatInt(inputTokens, 10)).
		Header("X-Amzn-Bedrock-Invocation-Latency", strconv.FormatInt(20+inputTokens/10, 10))
}

// titanEmbed is Titan Text Embeddings V1 and V2.
type titanEmbed struct{ noModel }

type titanEmbedRequest struct {
	InputText      string   `json:"inputText"`
	Dimensions     *int     `json:"dimensions"`
	Normalize      *bool    `json:"normalize"`
	EmbeddingTypes []string `json:"embeddingTypes"`
}

func (titanEmbed) read(req *Request) *Reply {
	var body titanEmbedRequest
	if json.Unmarshal(req.Body, &body) != nil {
		return invalid(malformed)
	}
	if d := body.Dimensions; d != nil && !slices.Contains([]int{256, 512, 1024}, *d) {
		return invalid("Malformed input request: #/dimensions: %d is not a valid enum value, please reformat your input and try again.", *d)
	}
	if n := CountTokens(body.InputText); n > 8192 {
		return invalid("400 Bad Request: Too many input tokens. Max input tokens: 8192, request input token count: %d", n)
	}
	return checkPrompt(req, "inputText", body.InputText, "", nil)
}

func (titanEmbed) compute(req *Request) ([]byte, int64) {
	var body titanEmbedRequest
	_ = json.Unmarshal(req.Body, &body)
	dimensions := 1024
	v1 := strings.Contains(string(req.Model), "titan-embed-text-v1")
	if v1 {
		dimensions = 1536
	}
	if body.Dimensions != nil {
		dimensions = *body.Dimensions
	}
	vector, n := embed(body.InputText, dimensions), CountTokens(body.InputText)
	v := object{"inputTextTokenCount": n}
	if len(body.EmbeddingTypes) == 0 || slices.Contains(body.EmbeddingTypes, "float") {
		v["embedding"] = vector
	}
	if !v1 {
		types := object{}
		if v["embedding"] != nil {
			types["float"] = vector
		}
		if slices.Contains(body.EmbeddingTypes, "binary") {
			types["binary"] = signs(vector)
		}
		v["embeddingsByType"] = types
	}
	return marshal(v), n
}

// titanMultimodal is Titan Multimodal Embeddings G1. An image is embedded by
// its bytes: the same image is near itself and no other.
type titanMultimodal struct{ noModel }

type titanMultimodalRequest struct {
	InputText  string `json:"inputText"`
	InputImage []byte `json:"inputImage"`
	Config     struct {
		Length *int `json:"outputEmbeddingLength"`
	} `json:"embeddingConfig"`
}

func (titanMultimodal) read(req *Request) *Reply {
	var body titanMultimodalRequest
	if json.Unmarshal(req.Body, &body) != nil {
		return invalid(malformed)
	}
	if body.InputText == "" && len(body.InputImage) == 0 {
		return invalid("Malformed input request: at least one of inputText and inputImage is required, please reformat your input and try again.")
	}
	if n := body.Config.Length; n != nil && !slices.Contains([]int{256, 384, 1024}, *n) {
		return invalid("Malformed input request: #/embeddingConfig/outputEmbeddingLength: %d is not a valid enum value, please reformat your input and try again.", *n)
	}
	req.prompt(body.InputText)
	return nil
}

func (titanMultimodal) compute(req *Request) ([]byte, int64) {
	var body titanMultimodalRequest
	_ = json.Unmarshal(req.Body, &body)
	dimensions := 1024
	if body.Config.Length != nil {
		dimensions = *body.Config.Length
	}
	text := body.InputText
	if len(body.InputImage) > 0 {
		text += " image" + identifier(24, string(body.InputImage))
	}
	n := CountTokens(body.InputText)
	return marshal(object{"embedding": embed(text, dimensions), "inputTextTokenCount": n}), n
}

// cohereEmbed is Cohere Embed V3 and V4.
type cohereEmbed struct{ noModel }

type cohereEmbedRequest struct {
	Texts  []string `json:"texts"`
	Images []string `json:"images"`
	Inputs []struct {
		Content []struct {
			Text     string `json:"text"`
			ImageURL string `json:"image_url"`
		} `json:"content"`
	} `json:"inputs"`
	InputType       string   `json:"input_type"`
	EmbeddingTypes  []string `json:"embedding_types"`
	OutputDimension *int     `json:"output_dimension"`
}

func (cohereEmbed) read(req *Request) *Reply {
	var body cohereEmbedRequest
	if json.Unmarshal(req.Body, &body) != nil {
		return invalid(malformed)
	}
	n := len(body.inputs())
	switch {
	case n == 0 || n > 96:
		return invalid("Malformed input request: #/texts: expected 1 to 96 items, found %d, please reformat your input and try again.", n)
	case !slices.Contains([]string{"search_document", "search_query", "classification", "clustering", "image"}, body.InputType):
		return invalid("Malformed input request: #/input_type: %q is not a valid enum value, please reformat your input and try again.", body.InputType)
	}
	req.prompt(strings.Join(body.Texts, "\n"))
	return nil
}

// inputs are the texts to embed. An image is one of its bytes.
func (r *cohereEmbedRequest) inputs() []string {
	inputs := slices.Clone(r.Texts)
	for _, image := range r.Images {
		inputs = append(inputs, "image"+identifier(24, image))
	}
	for _, in := range r.Inputs {
		var text string
		for _, part := range in.Content {
			text += part.Text + " "
			if part.ImageURL != "" {
				text += "image" + identifier(24, part.ImageURL) + " "
			}
		}
		inputs = append(inputs, text)
	}
	return inputs
}

func (cohereEmbed) compute(req *Request) ([]byte, int64) {
	var body cohereEmbedRequest
	_ = json.Unmarshal(req.Body, &body)
	dimensions := 1024
	if strings.Contains(string(req.Model), "embed-v4") {
		dimensions = 1536
	}
	if d := body.OutputDimension; d != nil && *d > 0 && *d <= 1536 {
		dimensions = *d
	}
	var vectors [][]float64
	var n int64
	for _, t := range body.inputs() {
		vectors = append(vectors, embed(t, dimensions))
		n += CountTokens(t)
	}
	v := object{"id": identifier(36, string(req.Body)), "texts": body.Texts, "response_type": "embeddings_floats", "embeddings": vectors}
	if body.EmbeddingTypes != nil {
		types := object{}
		for _, t := range body.EmbeddingTypes {
			types[t] = cohereVectors(t, vectors)
		}
		v["response_type"], v["embeddings"] = "embeddings_by_type", types
	}
	return marshal(v), n
}

// cohereVectors are the vectors as a type has them: whole numbers of eight bits,
// or eight dimensions in one. Source: "int8 & binary embeddings", Cohere's
// documentation.
func cohereVectors(typ string, vectors [][]float64) any {
	if typ == "float" {
		return vectors
	}
	lists := make([][]int, len(vectors))
	for i, vector := range vectors {
		switch typ {
		case "int8", "uint8":
			for _, x := range vector {
				lists[i] = append(lists[i], int(math.Round(x*127)))
			}
		default:
			for at, bit := range signs(vector) {
				if at%8 == 0 {
					lists[i] = append(lists[i], 0)
				}
				lists[i][at/8] |= bit << (7 - at%8)
			}
		}
		for at := range lists[i] {
			switch typ {
			case "uint8":
				lists[i][at] += 128
			case "binary":
				lists[i][at] -= 128
			}
		}
	}
	return lists
}

// rerank is Cohere Rerank 3.5 and Amazon Rerank.
type rerank struct{ noModel }

type rerankRequest struct {
	Query      string   `json:"query"`
	Documents  []string `json:"documents"`
	TopN       *int     `json:"top_n"`
	APIVersion int      `json:"api_version"`
}

func (rerank) read(req *Request) *Reply {
	var body rerankRequest
	if json.Unmarshal(req.Body, &body) != nil {
		return invalid(malformed)
	}
	switch {
	case strings.TrimSpace(body.Query) == "":
		return invalid("Malformed input request: #: required key [query] not found, please reformat your input and try again.")
	case len(body.Documents) == 0 || len(body.Documents) > 1000:
		return invalid("Malformed input request: #/documents: expected 1 to 1000 items, found %d, please reformat your input and try again.", len(body.Documents))
	case body.TopN != nil && *body.TopN < 1:
		return invalid("Malformed input request: #/top_n: %d is not greater or equal to 1, please reformat your input and try again.", *body.TopN)
	}
	req.prompt(body.Query)
	return nil
}

func (rerank) compute(req *Request) ([]byte, int64) {
	var body rerankRequest
	_ = json.Unmarshal(req.Body, &body)
	type result struct {
		Index int     `json:"index"`
		Score float64 `json:"relevance_score"`
	}
	const dimensions = 1024
	query := embed(body.Query, dimensions)
	n := CountTokens(body.Query)
	var results []result
	for i, d := range body.Documents {
		score := max(0, cosine(query, embed(d, dimensions)))
		results = append(results, result{i, math.Round(score*1e7) / 1e7})
		n += CountTokens(d)
	}
	slices.SortStableFunc(results, func(a, b result) int { return cmp.Compare(b.Score, a.Score) })
	if body.TopN != nil && *body.TopN < len(results) {
		results = results[:*body.TopN]
	}
	return marshal(object{"results": results}), n
}
