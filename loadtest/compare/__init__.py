"""fewlabel beside other serving frameworks, on one core, with the same model and the same load."""
