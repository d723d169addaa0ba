package converse

import (
	"fmt"
	"reflect"

	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
)

var unknownType = reflect.TypeFor[*types.UnknownUnionMember]()

// checkUnions finds a member of a union that the SDK itself does not know. Some
// versions of its serializer refuse one, and newer ones leave it out silently.
func checkUnions(v reflect.Value) error {
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		if v.Type() == unknownType {
			return fmt.Errorf("reading the SDK's input: unknown member of a union, %q", v.Interface().(*types.UnknownUnionMember).Tag)
		}
		return checkUnions(v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			if v.Type().Elem().Kind() == reflect.Uint8 {
				return nil // bytes
			}
			if err := checkUnions(v.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			if err := checkUnions(v.MapIndex(key)); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() {
				if err := checkUnions(v.Field(i)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
