"""Problem documents: what every answer that is not a success looks like (RFC 9457)."""

from marshmallow import fields

from service.schemas.words import WordedSchema


class FieldErrorSchema(WordedSchema):
    """One wrong field, and the way out."""

    field = fields.String(
        required=True, metadata={"description": "Where it is, dotted from the top of the body or the query."}
    )
    message = fields.String(required=True, metadata={"description": "What is wrong, for a person."})
    value = fields.String(metadata={"description": "What was given, cut short."})
    limit = fields.String(metadata={"description": "What is allowed."})
    did_you_mean = fields.List(fields.String(), metadata={"description": "The nearest known names, best first."})


class ProblemSchema(WordedSchema):
    """An error document of type application/problem+json."""

    type = fields.String(
        required=True, metadata={"description": "Stable URI of the kind of problem.", "format": "uri-reference"}
    )
    title = fields.String(required=True, metadata={"description": "The kind of problem in a few words."})
    status = fields.Integer(required=True, metadata={"description": "The HTTP status of this answer."})
    detail = fields.String(required=True, metadata={"description": "This occurrence, for a person, with the way out."})
    instance = fields.String(
        required=True, metadata={"description": "The path that was called.", "format": "uri-reference"}
    )
    request_id = fields.String(required=True, metadata={"description": "Also in X-Request-Id; quote it when asking."})
    errors = fields.List(
        fields.Nested(FieldErrorSchema), required=True, metadata={"description": "Field by field; may be empty."}
    )


class ProblemKindSchema(WordedSchema):
    """What one kind of problem means, and the way out."""

    type = fields.String(
        required=True, metadata={"description": "What problem documents carry.", "format": "uri-reference"}
    )
    title = fields.String(required=True, metadata={"description": "The kind of problem in a few words."})
    status = fields.Integer(required=True, metadata={"description": "The HTTP status that comes with it."})
    meaning = fields.String(required=True, metadata={"description": "What it means."})
    cause = fields.String(required=True, metadata={"description": "What usually causes it."})
    way_out = fields.String(required=True, metadata={"description": "What to do about it."})
