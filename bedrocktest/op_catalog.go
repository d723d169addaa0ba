package bedrocktest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit"
)

// The control plane's view of models: GetInferenceProfile and
// ListFoundationModels.

func (s *Server) models() []bedrockkit.ModelID {
	if s.opts.Models != nil {
		return s.opts.Models
	}
	return defaultModels()
}

func (s *Server) getInferenceProfile(x *exchange) *Reply {
	id := bedrockkit.ModelID(x.req.params[0])
	missing := Error(http.StatusNotFound, "ResourceNotFoundException", "The inference profile with the provided identifier does not exist.")
	model, own := s.opts.Profiles[id]
	ident, err := id.Parse()
	if err != nil && !own {
		return missing
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
		return missing
	}
	models := []object{}
	for _, region := range s.regionsOf(ident.Prefix) {
		models = append(models, object{"modelArn": "arn:aws:bedrock:" + region + "::foundation-model/" + string(ident.Base)})
	}
	v["models"] = models
	return result(v)
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

func (s *Server) listFoundationModels(x *exchange) *Reply {
	q := x.req.Query
	list := []object{}
	for _, id := range s.models() {
		provider := id.Provider()
		if want := q.Get("byProvider"); want != "" && !strings.EqualFold(want, provider) {
			continue
		}
		v := object{
			"modelId": id, "modelArn": "arn:aws:bedrock:" + s.opts.Region + "::foundation-model/" + string(id),
			"modelName": id, "providerName": provider,
			"inputModalities": []string{"TEXT"}, "outputModalities": []string{"TEXT"},
			"responseStreamingSupported": true, "customizationsSupported": []string{},
			"inferenceTypesSupported": []string{"ON_DEMAND"}, "modelLifecycle": object{"status": "ACTIVE"},
		}
		if f, _ := s.familyOf(&Request{Model: id}); f != nil {
			if _, computes := f.(computer); computes {
				v["outputModalities"], v["responseStreamingSupported"] = []string{"EMBEDDING"}, false
			}
		}
		if want := q.Get("byOutputModality"); want != "" && !slices.Contains(v["outputModalities"].([]string), want) {
			continue
		}
		list = append(list, v)
	}
	return result(object{"modelSummaries": list})
}
