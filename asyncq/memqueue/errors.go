package memqueue

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

// failed wraps the error of an operation as the SDK does.
func failed(op string, err error) error {
	return &smithy.OperationError{ServiceID: "SQS", OperationName: op, Err: err}
}

// invalid is the service's error for a parameter, which has no type in the SDK.
func invalid(format string, args ...any) error {
	return &smithy.GenericAPIError{Code: "InvalidParameterValue", Message: fmt.Sprintf(format, args...), Fault: smithy.FaultClient}
}

func missing(parameter string) error {
	return &smithy.GenericAPIError{
		Code:    "MissingParameter",
		Message: "The request must contain the parameter " + parameter + ".",
		Fault:   smithy.FaultClient,
	}
}

func noQueue() error {
	return &types.QueueDoesNotExist{Message: aws.String("The specified queue does not exist.")}
}

func invalidAttribute(name types.QueueAttributeName, reason string) error {
	return &types.InvalidAttributeValue{Message: aws.String(fmt.Sprintf("Invalid value for the parameter %s. Reason: %s", name, reason))}
}
