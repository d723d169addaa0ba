package bedrocktest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit"
)

// The control plane's view of models and of their inference profiles.

func (s *Server) getInferenceProfile(x *exchange) *Reply {
	v, ok := s.inferenceProfile(bedrockkit.ModelID(x.req.params[0]))
	if !ok {
		return Error(http.StatusNotFound, "ResourceNotFoundException", "The inference profile with the provided identifier does not exist.")
	}
	return result(v)
}

// inferenceProfile describes a profile, if there is one of that id.
func (s *Server) inferenceProfile(id bedrockkit.ModelID) (object, bool) {
	model, own := s.opts.Profiles[id]
	ident, err := id.Parse()
	if err != nil && !own {
		return nil, false
	}
	v := object{"status": "ACTIVE", "createdAt": "2024-08-26T00:00:00Z", "updatedAt": "2024-08-26T00:00:00Z"}
	switch {
	case own:
		_, name, _ := strings.Cut(string(id), "/")
		if name == "" {
			name = string(id)
		}
		v["type"], v["inferenceProfileId"], v["inferenceProfileName"], v["inferenceProfileArn"] = "APPLICATION", name, name, id
		ident, _ = model.Parse()
	case ident.Kind == bedrockkit.KindInferenceProfile && s.knownModel(id) == nil:
		name := ident.Prefix + "." + string(ident.Base)
		v["type"], v["inferenceProfileId"], v["inferenceProfileName"] = "SYSTEM_DEFINED", name, strings.ToUpper(ident.Prefix)+" "+string(ident.Base)
		v["inferenceProfileArn"] = s.arn("inference-profile/" + name)
	default:
		return nil, false
	}
	models := []object{}
	for _, region := range s.regionsOf(ident.Prefix) {
		models = append(models, object{"modelArn": "arn:aws:bedrock:" + region + "::foundation-model/" + string(ident.Base)})
	}
	v["models"] = models
	return v, true
}

// regionsOf are some of the regions that a profile of a prefix routes to. A
// global one names a model without a region.
func (s *Server) regionsOf(prefix string) []string {
	switch prefix {
	case "":
		return []string{s.opts.Region}
	case "global":
		return []string{"", s.opts.Region}
	case "us":
		return []string{"us-east-1", "us-east-2", "us-west-2"}
	case "us-gov":
		return []string{"us-gov-east-1", "us-gov-west-1"}
	case "eu":
		return []string{"eu-central-1", "eu-west-1", "eu-west-3"}
	case "jp":
		return []string{"ap-northeast-1", "ap-northeast-3"}
	case "au":
		return []string{"ap-southeast-2", "ap-southeast-4"}
	case "ca":
		return []string{"ca-central-1", "ca-west-1"}
	}
	return []string{"ap-northeast-1", "ap-south-1", "ap-southeast-1"}
}

// foundationModel describes a model.
func (s *Server) foundationModel(id bedrockkit.ModelID) object {
	v := object{
		"modelId": id, "modelArn": "arn:aws:bedrock:" + s.opts.Region + "::foundation-model/" + string(id),
		"modelName": id, "providerName": id.Provider(),
		"inputModalities": []string{"TEXT"}, "outputModalities": []string{"TEXT"},
		"responseStreamingSupported": true, "customizationsSupported": []string{},
		"inferenceTypesSupported": []string{"ON_DEMAND"}, "modelLifecycle": object{"status": "ACTIVE"},
	}
	c := s.capability(id)
	if c.Supports(bedrockkit.FeatureOnDemand) == bedrockkit.No {
		v["inferenceTypesSupported"] = []string{"INFERENCE_PROFILE"}
	}
	input := []string{"TEXT"}
	if c.Supports(bedrockkit.FeatureImages) == bedrockkit.Yes {
		input = append(input, "IMAGE")
	}
	v["inputModalities"] = input
	if c.Lifecycle.State == "legacy" {
		v["modelLifecycle"] = object{"status": "LEGACY"}
	}
	if _, computes := s.nativeFamily(id).(computer); computes {
		v["outputModalities"], v["responseStreamingSupported"] = []string{"EMBEDDING"}, false
	}
	return v
}

const noFoundationModel = "Could not resolve the foundation model from the provided model identifier."

func (s *Server) getFoundationModel(x *exchange) *Reply {
	id := bedrockkit.ModelID(x.req.params[0])
	ident, err := id.Parse()
	if err != nil || ident.Kind != bedrockkit.KindFoundationModel {
		return Error(http.StatusNotFound, "ResourceNotFoundException", noFoundationModel)
	}
	if r := s.knownModel(id); r != nil {
		if r.status != http.StatusNotFound { // it has not ended
			r = Error(http.StatusNotFound, "ResourceNotFoundException", noFoundationModel)
		}
		return r
	}
	return result(object{"modelDetails": s.foundationModel(ident.Base)})
}

func (s *Server) listFoundationModels(x *exchange) *Reply {
	q := x.req.Query
	list := []object{}
	for _, id := range s.models() {
		v := s.foundationModel(id)
		if want := q.Get("byProvider"); want != "" && !strings.EqualFold(want, id.Provider()) {
			continue
		}
		if want := q.Get("byOutputModality"); want != "" && !slices.Contains(v["outputModalities"].([]string), want) {
			continue
		}
		if want := q.Get("byInferenceType"); want != "" && !slices.Contains(v["inferenceTypesSupported"].([]string), want) {
			continue
		}
		list = append(list, v)
	}
	return result(object{"modelSummaries": list})
}

// listInferenceProfiles lists the profiles of the options and, of the
// service's own, those of the models.
func (s *Server) listInferenceProfiles(x *exchange) *Reply {
	list := []object{}
	add := func(id bedrockkit.ModelID) {
		v, _ := s.inferenceProfile(id)
		if want := x.req.Query.Get("type"); want == "" || want == v["type"] {
			list = append(list, v)
		}
	}
	for _, id := range s.systemProfiles() {
		add(id)
	}
	own := make([]bedrockkit.ModelID, 0, len(s.opts.Profiles))
	for id := range s.opts.Profiles {
		own = append(own, id)
	}
	slices.Sort(own)
	for _, id := range own {
		add(id)
	}
	part, next, refused := page(x.req.Query, list)
	if refused != nil {
		return refused
	}
	v := object{"inferenceProfileSummaries": part}
	if next != "" {
		v["nextToken"] = next
	}
	return result(v)
}
