"""Records of the catalog as answers: the fact sheet, the sources it names, and the version of the catalog."""

from marshmallow import fields

from service.schemas.fact import FactSheetSchema
from service.schemas.plain import many, text
from service.schemas.run import PageSchema


class CatalogRecordSchema(FactSheetSchema):
    """One record of the catalog with its facts and where each is from."""

    sources = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={"description": "Every source that a fact names: id -> what it is."},
    )
    catalog_version = text("Digest of all facts.")


class CatalogPageSchema(PageSchema):
    """Records of the catalog, by id."""

    items = many(FactSheetSchema, "The records of this page.")
    catalog_version = text("Digest of all facts.")
